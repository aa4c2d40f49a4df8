"""What happens to an image before the backbone: PIL RGB -> uint8 tensor (3, H, W).

Resizing is bilinear with antialiasing. Normalisation is the backbone's, on the device. Sizes are
pixels; `resize` is the shorter side, `crop` a square.
"""

from collections.abc import Callable
from typing import NamedTuple

from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import v2

Transform = Callable[[Image], Tensor]


class Transforms(NamedTuple):
    """Random for training, deterministic for evaluation."""

    train: Transform
    eval: Transform


def chain(*steps: Transform) -> Transform:
    return v2.Compose([*steps, v2.PILToTensor()])


def centre(resize: int, crop: int) -> Transform:
    return chain(v2.Resize(resize), v2.CenterCrop(crop))


def base(crop: int = 224, resize: int = 256) -> Transforms:
    """Random resized crop and flip; Roth et al. 2020 (their `big` is crop=256)."""
    train = chain(v2.RandomResizedCrop(crop), v2.RandomHorizontalFlip())
    return Transforms(train, centre(resize, crop))


def adv(
    crop: int = 224, resize: int = 256, grayscale: float = 0.2, jitter: float = 0.2
) -> Transforms:
    """`base` with grey images (probability `grayscale`) and jitter of brightness, contrast,
    saturation and hue (each by up to `jitter`); Roth et al. 2020."""
    train = chain(
        v2.RandomResizedCrop(crop),
        v2.RandomGrayscale(grayscale),
        v2.ColorJitter(jitter, jitter, jitter, jitter),
        v2.RandomHorizontalFlip(),
    )
    return Transforms(train, centre(resize, crop))


def red(crop: int = 224, resize: int = 256) -> Transforms:
    """Random crop of one scale, and flip; Roth et al. 2020."""
    train = chain(v2.Resize(resize), v2.RandomCrop(crop), v2.RandomHorizontalFlip())
    return Transforms(train, centre(resize, crop))


def musgrave(
    crop: int = 227, resize: int = 256, scale: tuple[float, float] = (0.16, 1.0)
) -> Transforms:
    """Resize, random resized crop of a share `scale` of the area, flip; Musgrave et al. 2020."""
    train = chain(
        v2.Resize(resize),
        v2.RandomResizedCrop(crop, scale=scale),
        v2.RandomHorizontalFlip(),
    )
    return Transforms(train, centre(resize, crop))


def small(size: int = 28, shift: int = 2) -> Transforms:
    """The whole image at `size` x `size`, in training moved by up to `shift` pixels.

    For characters and other tiny images: no crop, and no flip, which would change the class.
    The border is repeated, so that white and black paper stay what they are.
    """
    whole = v2.Resize((size, size))
    move = v2.RandomCrop(size, padding=shift, padding_mode="edge")
    return Transforms(chain(whole, move), chain(whole))
