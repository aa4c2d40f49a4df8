"""Export: writes the network of a run as a file that is kept if it computes what the run does."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Literal

from torch import nn
from yaml import safe_dump

from core.errors import UserError
from core.files import write_atomically, write_text_atomically
from engine.config.names import Text
from engine.export.exported import Exported
from engine.export.inference_network import ExportError, export_program
from engine.export.model_card import model_card
from engine.export.onnx import OnnxNetwork, check_packages, quantize_int8, save_onnx
from engine.export.parity import TOLERANCE, Parity
from engine.export.preprocessing import describe_preprocessing, image_shape
from engine.export.pt2 import Pt2Network, save_pt2
from engine.export.safetensors import load_weights, save_safetensors
from engine.load import TrainedEmbedder

Compare = Callable[[nn.Module], Parity]


@dataclass(frozen=True)
class ExportSettings:
    """Settings of conf/export.yaml."""

    run: Text
    format: Literal["onnx", "pt2", "safetensors"]
    out: Text | None
    quantize: Literal["int8"] | None
    check: Literal["images", "random"]
    split: Literal["train", "val", "test"]
    trust: Text | Sequence[Text]


class ParityError(UserError):
    """Parity error: an exported file does not compute the embeddings of the run; it is not kept."""


@dataclass(frozen=True)
class Export:
    """Export of a run: writes the file of a format, a model card and JSON beside it.

        model.onnx, .pt2 or .safetensors, model_int8.onnx
        preprocessing.json   from an image file to the input of the network
        parity.json          the comparison with the run
        README.md            the model card
        config.yaml          the configuration of the run

    Args:
        embedder: the run, on the CPU in float32.
        step: the optimizer step of its weights.
        format: of the file.
        quantize: whether weights have 8 bits.
    """

    embedder: TrainedEmbedder
    step: int
    format: Literal["onnx", "pt2", "safetensors"]
    quantize: bool = False

    @property
    def kind(self) -> str:
        """The format and, of 8 bits, `_int8`."""
        return f"{self.format}_int8" if self.quantize else self.format

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"model_int8.{self.format}" if self.quantize else f"model.{self.format}"

    def write(self, out: Path, compare: Compare) -> Parity:
        """Write all files into a folder; none if the network of the file differs from the run.

        Args:
            out: the folder.
            compare: compares a network with the run.

        Raises:
            ExportError: the network cannot be exported in this format.
            ParityError: the embeddings of the file differ.
        """
        if self.format == "onnx":
            check_packages()
        elif self.quantize:
            raise ExportError(f"quantize=int8 needs format=onnx, got format={self.format}")
        if out.suffix in (".onnx", ".pt2", ".safetensors"):
            raise ExportError(f"out={out} is to be a folder; the file in it is {self.name}")
        out.mkdir(parents=True, exist_ok=True)
        compared: list[Parity] = []
        write = self._write_int8 if self.quantize else self._write
        write_atomically(out / self.name, lambda file: compared.append(write(file, compare)))
        (parity,) = compared
        self._write_descriptions(out, parity)
        return parity

    def _write(self, file: BinaryIO, compare: Compare) -> Parity:
        """Write the network in full precision; the comparison with the run must hold."""
        self._save(file)
        file.flush()
        parity = compare(self._load(Path(file.name)))
        return check_difference(parity, self.format, TOLERANCE)

    def _write_int8(self, file: BinaryIO, compare: Compare) -> Parity:
        """Write the network with weights of 8 bits, after the comparison in full precision."""
        with TemporaryDirectory() as folder:
            full = Path(folder) / "model.onnx"
            with full.open("wb") as opened:
                self._write(opened, compare)
            quantize_int8(full, file)
        file.flush()
        return check_difference(
            compare(OnnxNetwork(Path(file.name))), self.kind, sys.float_info.max
        )

    def _save(self, file: BinaryIO) -> None:
        model = self.embedder.model.module  # without Fabric around it
        assert isinstance(model, nn.Module)
        if self.format == "safetensors":
            return save_safetensors(model, file)
        program = export_program(model, image_shape(self.embedder.transform))
        if self.format == "pt2":
            return save_pt2(program, file)
        preprocessing = json.dumps(describe_preprocessing(self.embedder))
        return save_onnx(program, file, {"preprocessing": preprocessing})

    def _load(self, path: Path) -> nn.Module:
        if self.format == "safetensors":
            return load_weights(self.embedder.config, path)
        return Pt2Network(path) if self.format == "pt2" else OnnxNetwork(path)

    def _write_descriptions(self, out: Path, parity: Parity) -> None:
        """Write the files beside the network."""
        preprocessing = describe_preprocessing(self.embedder)
        record = {"file": self.name, "tolerance": TOLERANCE, **parity.record()}
        write_json(out / "preprocessing.json", preprocessing)
        write_json(out / "parity.json", record)
        exported = Exported(self.embedder, self.step, self.name, preprocessing, parity)
        write_text_atomically(out / "README.md", model_card(exported))
        config = safe_dump(exported.config, sort_keys=False)
        write_text_atomically(out / "config.yaml", config)


def check_difference(parity: Parity, kind: str, tolerance: float) -> Parity:
    """Check that embeddings differ by at most `tolerance`, and return the comparison.

    Raises:
        ParityError: they differ more, or are not finite.
    """
    if not parity.largest_difference <= tolerance:
        raise ParityError(
            f"the {kind} file is not kept: a component of its embeddings differs from the run's by "
            f"{parity.sentence}, more than {tolerance:.0e}; choose another format"
        )
    return parity


def write_json(path: Path, content: object) -> None:
    """Write plain data as JSON."""
    write_text_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
