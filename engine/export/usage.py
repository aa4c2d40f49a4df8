"""Usage: the Python lines that embed a photo with an exported file, for its model card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LOADING = {  # suffix of the file -> imports, lines before the photo, lines after it
    "onnx": (
        ["import numpy as np", "import onnxruntime"],
        ['session = onnxruntime.InferenceSession("{file}")'],
        [
            "images = np.asarray(photo).transpose(2, 0, 1)[None]  # uint8 (1, 3, H, W)",
            'embeddings = session.run(None, {{"images": images}})[0]  # (1, {dim}), float32',
        ],
    ),
    "pt2": (
        ["import numpy as np", "import torch"],
        ['network = torch.export.load("{file}").module()'],
        [
            "images = torch.from_numpy(np.array(photo))[None].permute(0, 3, 1, 2)  # uint8",
            "embeddings = network(images)  # (1, {dim}), float32",
        ],
    ),
}
WITH_PROJECT = """\
from engine.export.safetensors import load_safetensors

embedder = load_safetensors(".")  # the folder of {file}
embeddings = embedder.embed(["photo.jpg"])  # (1, {dim}), float32"""


def usage(file: str, preprocessing: Mapping[str, Any]) -> str:
    """The lines that embed `photo.jpg`; those of ONNX and PT2 files need no file of this project.

    Args:
        file: the name of the exported file.
        preprocessing: see `engine.export.preprocessing.describe_preprocessing`.
    """
    dim, suffix = preprocessing["output"]["shape"][-1], file.rpartition(".")[2]
    if suffix not in LOADING:
        return WITH_PROJECT.format(file=file, dim=dim)
    imports, before, after = LOADING[suffix]
    loading = [line.format(file=file, dim=dim) for line in before]
    embedding = [line.format(file=file, dim=dim) for line in after]
    head = [*imports, "from PIL import Image", ""]
    return "\n".join([*head, *loading, *pillow_lines(preprocessing["steps"]), *embedding])


def pillow_lines(steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The steps of the preprocessing in Pillow, with the pixels of the run."""
    for step in steps:
        match step["step"]:
            case "read":
                yield 'photo = Image.open("photo.jpg").convert("RGB")'
            case "resize":
                method = f"Image.Resampling.{step['interpolation'].upper()}"
                yield f"photo = photo.resize({new_size(step)}, {method})"
            case "center_crop":
                width, height = step["width"], step["height"]
                yield f"left = round((photo.width - {width}) / 2)"
                yield f"top = round((photo.height - {height}) / 2)"
                yield f"photo = photo.crop((left, top, left + {width}, top + {height}))"
            case other:
                yield f"# here comes {other}: {step['arguments']}"


def new_size(step: Mapping[str, Any]) -> str:
    """The width and height after a step that resizes."""
    if "shorter_side" in step:
        return f"[{step['shorter_side']} * side // min(photo.size) for side in photo.size]"
    return f"({step['width']}, {step['height']})"
