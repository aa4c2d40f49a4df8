"""ONNX files: a graph of standard operations with its weights, which onnxruntime computes."""

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import torch
from torch import nn
from torch.export import ExportedProgram

from core.errors import in_one_line
from core.types import Embeddings, Images
from engine.export.inference_network import INPUT, OUTPUT, ExportError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # of requirements-export.txt
MAX_BYTES = 2**31  # of one ONNX file, a limit of protocol buffers


def check_packages() -> None:
    """Check that the packages of this format are installed.

    Raises:
        ExportError: names those that are missing.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ExportError(
            f"format=onnx needs {', '.join(missing)}: pip install -r requirements-export.txt"
        )


def save_onnx(program: ExportedProgram, file: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Save an exported network as one ONNX file.

    Args:
        program: from images to embeddings.
        file: the open file.
        metadata: texts that the file also holds, by name.

    Raises:
        ExportError: an operation has no ONNX equivalent, or the file would be larger than 2 GB.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            exported = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: "N"}},
                verbose=False,
            )
    except Exception as error:  # torch's errors of this exporter are no public class
        raise ExportError(
            f"torch.onnx cannot export the network: {in_one_line(error)[:300]}; "
            "choose format=pt2 or format=safetensors"
        ) from error
    assert exported is not None
    exported.model.metadata_props.update(metadata)
    content = exported.model_proto
    if content.ByteSize() >= MAX_BYTES:
        raise ExportError("one ONNX file holds at most 2 GB; choose format=pt2 or safetensors")
    file.write(content.SerializeToString())


def quantize_int8(path: Path, file: BinaryIO) -> None:
    """Save the network of an ONNX file with weights of 8 bits (dynamic quantization).

    Convolutions and matrix products round their weights once and their inputs in each call, to 8
    bits with a scale per tensor. Weights are unsigned: onnxruntime has no kernel for convolutions
    with signed ones.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, quantized, weight_type=QuantType.QUInt8)
        file.write(quantized.read_bytes())


class OnnxNetwork(nn.Module):
    """ONNX network: uint8 RGB images (N, 3, H, W) -> embeddings (N, D), by onnxruntime on the CPU.

    Args:
        path: an ONNX file of this project.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def forward(self, images: Images) -> Embeddings:
        (embeddings,) = self.session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(embeddings)
