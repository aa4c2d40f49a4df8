"""Preprocessing: describes what turns an image file into the input of an exported network."""

from collections.abc import Callable
from typing import Any

from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from datasets.transforms import Operation, Transform
from engine.export.inference_network import INPUT, OUTPUT, ExportError
from engine.load import TrainedEmbedder

PROBES = ((96, 64), (64, 96))  # width and height of images whose transform is tried


def image_shape(transform: Transform) -> tuple[int, ...]:
    """The shape (3, H, W) of every image after the transform of the evaluation.

    Raises:
        ExportError: it depends on the image, so that images do not form a batch.
    """
    shapes = {tuple(transform(Image.new("RGB", size)).shape) for size in PROBES}
    if len(shapes) > 1:
        raise ExportError(
            "the transform of the evaluation makes images of different sizes; an exported network "
            "needs one size: choose a transform that crops"
        )
    return shapes.pop()


def describe_preprocessing(embedder: TrainedEmbedder) -> dict[str, Any]:
    """Input, output and the steps before the input of an exported network, as plain JSON."""
    transform = embedder.transform
    return {
        "input": {
            "name": INPUT,
            "dtype": "uint8",
            "shape": ["N", *image_shape(transform)],
            "layout": "N x channel x height x width",
            "channels": "RGB",
            "range": [0, 255],
            "normalization": "inside the network",
        },
        "steps": [
            {"step": "read", "mode": "RGB", "exif_orientation": "not applied", "alpha": "dropped"},
            *map(describe, [*transform.deterministic, *transform.random]),
        ],
        "output": {
            "name": OUTPUT,
            "dtype": "float32",
            "shape": ["N", embedder.embedding_dim],
            "length_one": embedder.normalized,
        },
    }


def describe(operation: Operation) -> dict[str, Any]:
    """One operation of a transform with its arguments; of an unknown one, its text."""
    for kind, description in DESCRIPTIONS.items():
        if type(operation) is kind:
            return description(operation)
    return {"step": type(operation).__name__, "arguments": repr(operation)}


def describe_resize(operation: v2.Resize) -> dict[str, Any]:
    """Resizing of the shorter side, or to a height and width."""
    size = operation.size or []
    names = ("shorter_side",) if len(size) == 1 else ("height", "width")
    interpolation = InterpolationMode(operation.interpolation).value
    method = {"interpolation": interpolation, "antialias": operation.antialias}
    return {"step": "resize", **dict(zip(names, size, strict=True)), **method}


def describe_center_crop(operation: v2.CenterCrop) -> dict[str, Any]:
    """Crop of the center."""
    height, width = operation.size
    return {"step": "center_crop", "height": height, "width": width}


DESCRIPTIONS: dict[type, Callable[[Any], dict[str, Any]]] = {
    v2.Resize: describe_resize,
    v2.CenterCrop: describe_center_crop,
}
