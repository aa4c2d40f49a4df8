"""Image transforms for training and evaluation: PIL RGB -> uint8 tensor (3, H, W).

Resizing is bilinear with antialiasing. The backbone normalizes, on the device. Sizes are in pixels;
`resize` is the shorter side, `crop` the side of a square.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import v2

from core.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFraction, PositiveInt

Pixels = TypeVar("Pixels", Image, Tensor)
Operation = Callable[[Any], Any]  # of torchvision: takes and returns an image, PIL or tensor


@dataclass(frozen=True)
class Transform:
    """Transform: applies deterministic operations, then random ones; PIL image -> uint8 (3, H, W).

    Args:
        deterministic: operations with the same result for an image each time, which a cache may
            hold.
        random: the first operation that draws from torch's global generator, and all after it.
    """

    deterministic: Sequence[Operation] = ()
    random: Sequence[Operation] = ()

    def __call__(self, image: Image) -> Tensor:
        return self.apply_random(self.apply_deterministic(image))

    def apply_deterministic(self, image: Image) -> Image:
        """Apply the deterministic operations."""
        return apply(image, self.deterministic)

    def apply_random(self, image: Image) -> Tensor:
        """Apply the random operations to an image after the deterministic ones."""
        tensor: Tensor = v2.functional.pil_to_tensor(apply(image, self.random))
        return tensor

    def apply_to_tensor(self, image: Tensor) -> Tensor:
        """Apply all operations to a tensor (3, H, W) on any device, with the same random draws.

        Pixels differ slightly from those of a PIL image, because interpolation rounds differently.
        """
        return apply(image, [*self.deterministic, *self.random])


def apply(image: Pixels, operations: Sequence[Operation]) -> Pixels:
    """Apply operations to an image in order."""
    for operation in operations:
        image = operation(image)
    return image


class Transforms(NamedTuple):
    """The transforms of a run: random for training, deterministic for evaluation."""

    train: Transform
    eval: Transform


def center_crop(resize: PositiveInt, crop: PositiveInt) -> Transform:
    """Transform for evaluation: resizes the shorter side and crops the center."""
    return Transform(deterministic=[v2.Resize(resize), v2.CenterCrop(crop)])


def base(crop: PositiveInt = 224, resize: PositiveInt = 256) -> Transforms:
    """Transforms `base`: random resized crop, flip; Roth et al. 2020 (their `big` is crop=256)."""
    train = Transform(random=[v2.RandomResizedCrop(crop), v2.RandomHorizontalFlip()])
    return Transforms(train, center_crop(resize, crop))


def adv(
    crop: PositiveInt = 224,
    resize: PositiveInt = 256,
    grayscale: Fraction = 0.2,
    jitter: NonNegativeFloat = 0.2,
) -> Transforms:
    """Transforms `adv`: `base` with random grayscale and color jitter; Roth et al. 2020.

    Args:
        crop: side of the crop.
        resize: shorter side before the center crop of the evaluation.
        grayscale: probability of a grayscale image.
        jitter: largest relative change of brightness, contrast and saturation, and of the hue in
            turns.
    """
    operations = [
        v2.RandomResizedCrop(crop),
        v2.RandomGrayscale(grayscale),
        v2.ColorJitter(jitter, jitter, jitter, jitter),
        v2.RandomHorizontalFlip(),
    ]
    return Transforms(Transform(random=operations), center_crop(resize, crop))


def red(crop: PositiveInt = 224, resize: PositiveInt = 256) -> Transforms:
    """Transforms `red`: resize, random crop and flip; Roth et al. 2020."""
    train = Transform([v2.Resize(resize)], [v2.RandomCrop(crop), v2.RandomHorizontalFlip()])
    return Transforms(train, center_crop(resize, crop))


def musgrave(
    crop: PositiveInt = 227,
    resize: PositiveInt = 256,
    scale: tuple[PositiveFraction, PositiveFraction] = (0.16, 1.0),
) -> Transforms:
    """Transforms `musgrave`: resize, random resized crop, flip; Musgrave et al. 2020.

    Args:
        crop: side of the crop.
        resize: shorter side.
        scale: least and largest fraction of the area that a crop covers.
    """
    operations = [v2.RandomResizedCrop(crop, scale=scale), v2.RandomHorizontalFlip()]
    return Transforms(Transform([v2.Resize(resize)], operations), center_crop(resize, crop))


def small(size: PositiveInt = 28, shift: NonNegativeInt = 2) -> Transforms:
    """Transforms `small`: resize to `size` x `size`, in training shifted by up to `shift` pixels.

    They are for characters and other tiny images: there is no flip, which would change the class.
    The border is repeated, so that a shift adds no edge on white or black paper.
    """
    resize, border = v2.Resize((size, size)), v2.Pad(shift, padding_mode="edge")
    return Transforms(Transform([resize, border], [v2.RandomCrop(size)]), Transform([resize]))
