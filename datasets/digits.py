"""Handwritten digits of scikit-learn: 1797 images of 8 x 8 pixels, without a download."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from datasets.image_path import INLINE
from datasets.table import Counts, Table, check_counts, make_table, read_from, split_by_halves


def digits(counts: Counts | None = None) -> Table:
    """Digits: table with 0 to 4 for training and 5 to 9 for testing; it contains the images."""
    content = load_digits()
    grey = np.round(content.images * (255 / 16)).astype(np.uint8)  # from 0..16
    paths = [png_uri(image) for image in grey]
    table = make_table(paths, content.target, split_by_halves(content.target))
    return check_counts(read_from(table), counts)


def png_uri(image: np.ndarray) -> str:
    """Data URI of a uint8 image (H, W), encoded as PNG."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return INLINE + base64.b64encode(buffer.getvalue()).decode()
