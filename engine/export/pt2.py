"""PT2 files: the format of torch.export, a graph of torch operations with its weights."""

import warnings
from pathlib import Path
from typing import BinaryIO, cast

import torch
from torch import nn
from torch.export import ExportedProgram

from core.types import Embeddings, Images


def save_pt2(program: ExportedProgram, file: BinaryIO) -> None:
    """Save an exported network."""
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(program, file)


class Pt2Network(nn.Module):
    """PT2 network: uint8 RGB images (N, 3, H, W) -> embeddings (N, D), by torch on the CPU.

    torch reads some tensors of the file as pickles, which can run code: load your own files only.

    Args:
        path: a PT2 file of this project.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        with warnings.catch_warnings(action="ignore"):
            module = torch.export.load(path).module()
        self.compute = module.forward  # no submodule: its mode is fixed, and eval() is an error

    def forward(self, images: Images) -> Embeddings:
        return cast(Embeddings, self.compute(images))
