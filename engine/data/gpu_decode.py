"""GPU decoding: the device decodes and augments images, the loader workers only read the files.

On an NVIDIA GPU nvJPEG decodes a whole batch; elsewhere the same functions run on the CPU. The
random numbers are those of the other image sources, the pixels are not: decoders and interpolations
round differently.
"""

import io
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2.functional import pil_to_tensor

from datasets.images import Images, seeded
from datasets.reader import explain_read_errors, read_bytes, read_image
from datasets.table import DatasetError
from datasets.transforms import Transform

JPEG = b"\xff\xd8\xff"  # the first bytes of a JPEG
PLAIN_MODES = ("RGB", "L")  # PIL decodes the other colour modes


class EncodedBatch(NamedTuple):
    """A batch of encoded images."""

    contents: list[Tensor]  # uint8: the bytes (B,) of a JPEG, or decoded (3, H, W)
    seeds: list[int]  # of the augmentations
    labels: Tensor  # (N,)


class EncodedImages(Dataset[tuple[Tensor, int, int]]):
    """Dataset of (content, seed, label) of `images`; an index without a seed has the seed 0."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Tensor, int, int]:
        index, seed = item if isinstance(item, tuple) else (item, 0)
        return read_encoded(self.images.paths[index]), seed, int(self.images.labels[index])


def read_encoded(path: str) -> Tensor:
    """The bytes of a complete JPEG in a plain colour mode; any other image, decoded by PIL."""
    with explain_read_errors(path):
        content = read_bytes(path)
        if content.startswith(JPEG) and content.rstrip(b"\0").endswith(b"\xff\xd9"):
            with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
                if image.mode in PLAIN_MODES:
                    return torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return pil_to_tensor(read_image(path))


def collate(items: Sequence[tuple[Tensor, int, int]]) -> EncodedBatch:
    """Collect the items of `EncodedImages` into a batch."""
    contents, seeds, labels = zip(*items, strict=True)
    return EncodedBatch(list(contents), list(seeds), torch.tensor(labels))


class Decoder:
    """Decodes and augments an encoded batch: images (N, 3, H, W) on the device, and labels (N,)."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def __call__(self, read: EncodedBatch, device: torch.device) -> tuple[Tensor, Tensor]:
        decoded = iter(self._decode([c for c in read.contents if c.ndim == 1], device))
        images = []
        for content, seed in zip(read.contents, read.seeds, strict=True):
            image = next(decoded) if content.ndim == 1 else content.to(device, non_blocking=True)
            with seeded(seed):
                images.append(self.transform.apply_to_tensor(image))
        return torch.stack(images), read.labels.to(device, non_blocking=True)

    def _decode(self, contents: list[Tensor], device: torch.device) -> list[Tensor]:
        if not contents:
            return []
        with warnings.catch_warnings():  # torchvision hands its decoders over to TorchCodec
            warnings.simplefilter("ignore")
            try:
                return list(decode_jpeg(contents, mode=ImageReadMode.RGB, device=device))
            except RuntimeError as error:
                if (
                    "jpeg" not in str(error).lower()
                ):  # an error of the device, such as lack of memory
                    raise
                raise DatasetError(
                    f"{device} cannot decode an image of a batch: {error}; trainer.source=files "
                    "names it"
                ) from error
