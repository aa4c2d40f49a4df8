"""Inference network: the network of a run as it is exported, from images to embeddings."""

import warnings

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.export import export as export_graph

from core.distance import to_float32
from core.errors import UserError, in_one_line
from core.types import Embeddings, Images

INPUT, OUTPUT = "images", "embeddings"  # names of the tensors in an exported file


class ExportError(UserError):
    """Export error: a network cannot be exported in a format; the message names another one."""


class InferenceNetwork(nn.Module):
    """Inference network: uint8 RGB images (N, 3, H, W) -> embeddings (N, D), float32.

    Args:
        model: the embedder of a run, which normalizes images itself.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Images) -> Embeddings:
        return to_float32(self.model(images))


def export_program(model: nn.Module, image_shape: tuple[int, ...]) -> ExportedProgram:
    """Export a network in evaluation mode as a graph of torch operations, for any batch size.

    Args:
        model: the embedder of a run, on the CPU.
        image_shape: (3, H, W), the size that the transform of the evaluation makes.

    Raises:
        ExportError: torch.export cannot follow the code of the network.
    """
    network = InferenceNetwork(model).eval()
    example = torch.zeros(2, *image_shape, dtype=torch.uint8)  # a batch of one would be fixed
    shapes = {INPUT: {0: Dim("N", min=1)}}
    try:
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            program = export_graph(network, (example,), dynamic_shapes=shapes)
    except Exception as error:  # the exporter has no base class of its errors
        raise ExportError(
            f"torch.export cannot export {type(model).__name__}: {in_one_line(error)[:300]}; "
            "format=safetensors exports the weights of any network"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return program
