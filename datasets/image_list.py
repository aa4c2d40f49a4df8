"""Images without labels in a given order: files, PIL images or arrays."""

import os
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
from PIL import Image
from torch import Tensor

from datasets.images import Images
from datasets.reader import explain_read_errors, read_image, size_of, to_rgb
from datasets.table import DatasetError, make_table
from datasets.transforms import Transform

ImageInput = str | os.PathLike[str] | Image.Image | np.ndarray  # an array is uint8 (H, W, 3), RGB


class ImageList(Images):
    """List of images: yields (image, 0) for each, in order; uint8 RGB (3, H, W).

    A PIL image and the file that it comes from give the same pixels. Paths are relative to the
    working directory, and `~` is the home directory.

    Args:
        inputs: paths, PIL images of any mode, or arrays uint8 (H, W, 3).
        transform: PIL image -> uint8 tensor (3, H, W).
        skip_unreadable: whether an image that cannot be read is a black one with the label -1, so
            that batches stay the same; else it is an error.

    Raises:
        DatasetError: an input is no image; or a file is missing, which is not skipped. The content
            of files is read later.
    """

    def __init__(
        self, inputs: Sequence[ImageInput], transform: Transform, skip_unreadable: bool = False
    ) -> None:
        self.inputs = [checked(image, index) for index, image in enumerate(inputs)]
        self.skip_unreadable = skip_unreadable
        names = [name_of(image, index) for index, image in enumerate(self.inputs)]
        super().__init__(make_table(names, "", "test"), transform)
        if not skip_unreadable:
            for path in filter(is_path, self.inputs):
                size_of(path)
        # an opened PIL image shares its position in the file with forked workers
        self.in_memory = not all(map(is_path, self.inputs))

    def prepared(self, index: int) -> Image.Image:
        """The image after the deterministic operations."""
        image, name = self.inputs[index], self.paths[index]
        return self.transform.apply_deterministic(read(image, name))

    def _load(self, index: int) -> tuple[Tensor, int]:
        try:
            return super()._load(index)
        except DatasetError:
            if not self.skip_unreadable:
                raise
            return self.transform(Image.new("RGB", (64, 64))), -1


def checked(image: ImageInput, index: int) -> str | Image.Image | np.ndarray:
    """An input of a list of images, a path as text.

    Raises:
        DatasetError: it is neither a path, nor a PIL image, nor an array (H, W, 3).
    """
    if isinstance(image, str | os.PathLike):
        return os.path.expanduser(os.fspath(image))  # noqa: PTH111  # it may be a data URI
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and is_rgb(image.shape):
        return image
    found = type(image).__name__
    if isinstance(image, np.ndarray):
        found = f"{image.dtype} {image.shape}"
    raise DatasetError(
        f"{name_of(image, index)} is of {found}; it must be a path, a PIL image or a uint8 array "
        "(H, W, 3)"
    )


def is_path(image: object) -> TypeGuard[str]:
    """Whether an input is the path of a file."""
    return isinstance(image, str)


def is_rgb(shape: tuple[int, ...]) -> bool:
    """Whether the shape is (H, W, 3) with at least one pixel."""
    return len(shape) == 3 and shape[2] == 3 and min(shape) > 0


def name_of(image: object, index: int) -> str:
    """The path of a file; the position of any other image in its list."""
    return image if isinstance(image, str) else f"number {index} of the list"


def read(image: str | Image.Image | np.ndarray, name: str) -> Image.Image:
    """The image as RGB with 8 bits per channel.

    Raises:
        DatasetError: it cannot be read.
    """
    if isinstance(image, str):
        return read_image(image)
    with explain_read_errors(name):
        return to_rgb(image if isinstance(image, Image.Image) else Image.fromarray(image))
