"""What an image is recognised by: the hash of its file, the perceptual hash of its look."""

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
    """Of one image.

    Attributes:
        content: SHA-256 of the file, 32 bytes; empty if it cannot be read.
        look: perceptual hash, 32 bytes; empty if it cannot be read.
        problem: why it cannot be read; empty if it can.
    """

    content: bytes
    look: bytes
    problem: str


class Fingerprints(Dataset[Fingerprint]):
    """The fingerprints of images, each read when it is asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Fingerprint:
        return fingerprint(self.paths[index])


def fingerprint(path: str) -> Fingerprint:
    """Reads an image to its last pixel; a truncated one is a problem, though training reads it.

    Args:
        path: as in a table, see datasets/table.py.
    """
    try:
        content = read_bytes(path)
        look = perceptual_hash(decode(content))
    except Exception as error:  # readers of images and archives raise whatever they please
        return Fingerprint(b"", b"", f"{type(error).__name__}: {error}"[:300])
    return Fingerprint(hashlib.sha256(content).digest(), look, "")


def perceptual_hash(image: Image.Image) -> bytes:
    """pHash (Zauner 2010) of 256 bits: which low frequencies lie above their median.

    The image, grey and 64 x 64, goes through a discrete cosine transform; of its 16 x 16 lowest
    frequencies each gives one bit. Compression, another size and another brightness change few
    bits; a crop of some percent, a mirror or a rotation change many.
    """
    grey = np.asarray(image.convert("L").resize((4 * SIDE, 4 * SIDE)), dtype=np.float64)
    low = dctn(grey)[:SIDE, :SIDE]
    return np.packbits(low > np.median(low)).tobytes()
