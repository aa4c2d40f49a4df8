"""What happens to an image before the backbone: PIL RGB -> uint8 tensor (3, H, W).

Resizing is bilinear with antialiasing. Normalisation is the backbone's, on the device. Sizes are
pixels; `resize` is the shorter side, `crop` a square.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import v2

from core.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFraction, PositiveInt

Pixels = TypeVar("Pixels", Image, Tensor)
Step = Callable[[Any], Any]  # of torchvision: takes and returns an image, PIL or tensor


@dataclass(frozen=True)
class Transform:
    """Steps in order, `fixed` ones before `drawn` ones; `transform(image)` is uint8 (3, H, W).

    Args:
        fixed: draw nothing: what they make of an image is always the same and may be kept.
        drawn: all from the first one on that draws from torch's global generator.
    """

    fixed: Sequence[Step] = ()
    drawn: Sequence[Step] = ()

    def __call__(self, image: Image) -> Tensor:
        return self.finish(self.prepare(image))

    def prepare(self, image: Image) -> Image:
        """The fixed steps."""
        return after(image, self.fixed)

    def finish(self, prepared: Image) -> Tensor:
        """The drawn steps of an image that is prepared."""
        tensor: Tensor = v2.functional.pil_to_tensor(after(prepared, self.drawn))
        return tensor

    def of_tensor(self, image: Tensor) -> Tensor:
        """All steps of an image that is a tensor (3, H, W) on any device; draws the same.

        Its pixels differ by little: libraries round differently where they interpolate.
        """
        return after(image, [*self.fixed, *self.drawn])


def after(image: Pixels, steps: Sequence[Step]) -> Pixels:
    for step in steps:
        image = step(image)
    return image


class Transforms(NamedTuple):
    """Random for training, deterministic for evaluation."""

    train: Transform
    eval: Transform


def centre(resize: PositiveInt, crop: PositiveInt) -> Transform:
    return Transform(fixed=[v2.Resize(resize), v2.CenterCrop(crop)])


def base(crop: PositiveInt = 224, resize: PositiveInt = 256) -> Transforms:
    """Random resized crop and flip; Roth et al. 2020 (their `big` is crop=256)."""
    train = Transform(drawn=[v2.RandomResizedCrop(crop), v2.RandomHorizontalFlip()])
    return Transforms(train, centre(resize, crop))


def adv(
    crop: PositiveInt = 224,
    resize: PositiveInt = 256,
    grayscale: Fraction = 0.2,
    jitter: NonNegativeFloat = 0.2,
) -> Transforms:
    """`base` with grey images (probability `grayscale`) and jitter of brightness, contrast,
    saturation and hue (each by up to `jitter`); Roth et al. 2020."""
    drawn = [
        v2.RandomResizedCrop(crop),
        v2.RandomGrayscale(grayscale),
        v2.ColorJitter(jitter, jitter, jitter, jitter),
        v2.RandomHorizontalFlip(),
    ]
    return Transforms(Transform(drawn=drawn), centre(resize, crop))


def red(crop: PositiveInt = 224, resize: PositiveInt = 256) -> Transforms:
    """Random crop of one scale, and flip; Roth et al. 2020."""
    train = Transform([v2.Resize(resize)], [v2.RandomCrop(crop), v2.RandomHorizontalFlip()])
    return Transforms(train, centre(resize, crop))


def musgrave(
    crop: PositiveInt = 227,
    resize: PositiveInt = 256,
    scale: tuple[PositiveFraction, PositiveFraction] = (0.16, 1.0),
) -> Transforms:
    """Resize, random resized crop of a share `scale` of the area, flip; Musgrave et al. 2020."""
    drawn = [v2.RandomResizedCrop(crop, scale=scale), v2.RandomHorizontalFlip()]
    return Transforms(Transform([v2.Resize(resize)], drawn), centre(resize, crop))


def small(size: PositiveInt = 28, shift: NonNegativeInt = 2) -> Transforms:
    """The whole image at `size` x `size`, in training moved by up to `shift` pixels.

    For characters and other tiny images: no crop, and no flip, which would change the class.
    The border is repeated, so that white and black paper stay what they are.
    """
    whole, border = v2.Resize((size, size)), v2.Pad(shift, padding_mode="edge")
    return Transforms(Transform([whole, border], [v2.RandomCrop(size)]), Transform([whole]))
