"""The graph of a network: any batch size, no folder of this machine, one line without one."""

from io import BytesIO
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from architectures.convnet import convnet
from engine.export.inference_network import ExportError, export_program
from engine.export.onnx import save_onnx
from engine.export.pt2 import save_pt2

ROOT = Path(__file__).parents[3]


class DependsOnPixels(nn.Module):
    """A network whose path depends on the values of the images."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images.float().mean()
        return images.flatten(1).float() if bright > 128 else images.flatten(1).float() / 2


def test_a_network_whose_code_depends_on_pixels_has_no_graph() -> None:
    with pytest.raises(ExportError, match=r"cannot export DependsOnPixels: .*safetensors") as line:
        export_program(DependsOnPixels(), (3, 4, 4))
    assert "\n" not in str(line.value)


def test_an_exported_file_names_no_folder_of_this_machine() -> None:
    torch.manual_seed(0)
    program = export_program(convnet(embedding_dim=8, width=4).eval(), (3, 16, 16))
    pt2, onnx = BytesIO(), BytesIO()
    save_pt2(program, pt2)
    save_onnx(program, onnx, {})
    for file in (pt2, onnx):
        assert len(file.getvalue()) > 1000
        assert str(ROOT).encode() not in file.getvalue()


def test_a_network_in_training_mode_is_exported_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    network = convnet(embedding_dim=8, width=4).train()
    images = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    program = export_program(network, (3, 16, 16))
    expected = network.eval()(images)
    assert torch.allclose(program.module()(images), expected, atol=1e-6)
