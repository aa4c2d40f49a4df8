"""Synthetic JPEG files of smooth noise, as large as those of CUB200, to measure decoding."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from datasets.digits import png_uri

SIZE = (500, 375)  # pixels, width and height of most images of CUB200
QUALITY = 90
CONTENTS = 64  # different images; further ones are hard links to them
OCTAVES = (2, 5, 12, 30, 80, 250)  # cells along the shorter side
GRAIN = 16  # of 255; with it a file has 91 kB, as the 11,788 of CUB200 in 1.1 GB


def write_synthetic_images(folder: Path, classes: int, per_class: int) -> Path:
    """Writes images and the CSV for `dataset.path`, with two small test classes."""
    contents = [folder / f"{number}.jpg" for number in range(min(CONTENTS, classes * per_class))]
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(contents):
        synthetic_image(number).save(path, quality=QUALITY)
    rows = []
    for label in range(classes + 2):
        split, count = ("train", per_class) if label < classes else ("test", 2)
        (folder / str(label)).mkdir()
        for image in range(count):
            name = f"{label}/{image}.jpg"
            os.link(contents[(label * per_class + image) % len(contents)], folder / name)
            rows.append({"path": name, "label": label, "split": split})
    table = folder / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


def one_pixel(table: Path) -> Path:
    """Writes a CSV of the same labels in which each image is one pixel, stored in the table."""
    rows = pd.read_csv(table)
    path = table.with_name("one_pixel.csv")
    rows.assign(path=png_uri(np.zeros((1, 1), np.uint8))).to_csv(path, index=False)
    return path


def synthetic_image(seed: int) -> Image.Image:
    """One image: noise at several scales, the coarser the stronger, and fine grain."""
    draw = np.random.default_rng(seed)
    width, height = SIZE
    pixels = np.full((height, width, 3), 128.0)
    for cells in OCTAVES:
        noise = draw.integers(0, 256, (cells, cells * width // height, 3), dtype=np.uint8)
        smooth = Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC)
        pixels += (np.asarray(smooth) - 128.0) * cells**-0.5
    pixels += draw.normal(0, GRAIN, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
