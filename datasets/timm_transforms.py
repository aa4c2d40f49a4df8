"""Transforms of a timm network: image size, crop and interpolation of its pretrained weights."""

import math

import timm
from torchvision.transforms import InterpolationMode, v2

from core.ranges import PositiveInt
from datasets.transforms import Transform, Transforms


def timm_transforms(model_name: str, crop: PositiveInt | None = None) -> Transforms:
    """Transforms `timm`: random resized crop and flip; resize and center crop in the evaluation.

    Size, ratio of crop to resize, and interpolation are those that timm states for the weights. The
    backbone normalizes with the mean and standard deviation that timm states, too.

    Args:
        model_name: as in `timm.list_models()`.
        crop: side of the crop in pixels; None is the network's own.

    Raises:
        ValueError: timm has no such network, or states no transform for it.
    """
    config = timm.get_pretrained_cfg(model_name) if timm.is_model(model_name) else None
    if config is None:
        raise ValueError(
            f"transform=timm needs backbone=timm with a model of timm, got {model_name}"
        )
    size = crop or config.input_size[-1]
    mode = InterpolationMode(config.interpolation or "bilinear")
    resize = v2.Resize(math.floor(size / config.crop_pct), mode)
    train = [v2.RandomResizedCrop(size, interpolation=mode), v2.RandomHorizontalFlip()]
    return Transforms(Transform(random=train), Transform([resize, v2.CenterCrop(size)]))
