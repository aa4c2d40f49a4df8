"""Fingerprint of an image: the hash of its file and the perceptual hash of its pixels."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.fft import dctn
from torch.utils.data import Dataset

from datasets.reader import decode, read_bytes

SIDE = 16  # the hash has 16 x 16 bits


class Fingerprint(NamedTuple):
    """Fingerprint of one image.

    Attributes:
        content: SHA-256 of the file, 32 bytes; empty if it cannot be read.
        perceptual_hash: 32 bytes; empty if it cannot be read.
        problem: why it cannot be read; empty if it can.
    """

    content: bytes
    perceptual_hash: bytes
    problem: str


class Fingerprints(Dataset[Fingerprint]):
    """Fingerprints: torch dataset that reads one image for each item."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Fingerprint:
        return fingerprint(self.paths[index])


def fingerprint(path: str) -> Fingerprint:
    """Compute the fingerprint of an image; a truncated one is a problem, unlike in training.

    Args:
        path: as in a table, see datasets/table.py.
    """
    try:
        content = read_bytes(path)
        image_hash = perceptual_hash(decode(content))
    except Exception as error:  # readers of images and archives raise exceptions of many kinds
        return Fingerprint(b"", b"", f"{type(error).__name__}: {error}"[:300])
    return Fingerprint(hashlib.sha256(content).digest(), image_hash, "")


def perceptual_hash(image: Image.Image) -> bytes:
    """Perceptual hash (pHash, Zauner 2010) of 256 bits: which low frequencies exceed their median.

    The image is converted to grey, resized to 64 x 64 and transformed by a discrete cosine
    transform, whose 16 x 16 lowest frequencies give one bit each. Compression, resizing and
    brightness change few bits; a crop of some percent, a mirror or a rotation change many.
    """
    grey = np.asarray(image.convert("L").resize((4 * SIDE, 4 * SIDE)), dtype=np.float64)
    low = dctn(grey)[:SIDE, :SIDE]
    return np.packbits(low > np.median(low)).tobytes()
