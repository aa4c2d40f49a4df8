"""One reader for odd images, archives and images inside the table."""

import logging
import pickle
import warnings
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image, ImageFile
from torch.utils.data import DataLoader

from datasets.digits import png_uri
from datasets.images import Images
from datasets.reader import read_image
from datasets.table import DatasetError, make_table
from datasets.transforms import small

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(64), np.arange(96))[..., None].repeat(3, 2).astype(np.uint8)


def read(path: Path) -> np.ndarray:
    image = read_image(str(path))
    assert image.mode == "RGB"
    return np.asarray(image)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    assert (read(save(Image.fromarray(PIXELS), tmp_path / "a.png")) == PIXELS).all()


def test_gray_has_three_equal_channels(tmp_path: Path) -> None:
    gray = PIXELS[..., 0]
    assert (read(save(Image.fromarray(gray), tmp_path / "a.png")) == gray[..., None]).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    gray = PIXELS[..., 0].astype(np.uint16) * 256 + 200
    assert (read(save(Image.fromarray(gray), tmp_path / "a.png")) == PIXELS[..., :1]).all()


def test_black_and_white_become_0_and_255(tmp_path: Path) -> None:
    ink = PIXELS[..., 0] > 127
    assert (read(save(Image.fromarray(ink), tmp_path / "a.png")) == ink[..., None] * 255).all()


def test_alpha_is_dropped(tmp_path: Path) -> None:
    transparent = np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)
    assert (read(save(Image.fromarray(transparent), tmp_path / "a.png")) == PIXELS).all()


def test_a_palette_with_transparency_makes_no_warning(tmp_path: Path) -> None:
    palette = Image.fromarray(PIXELS).quantize(16)
    path = save(palette, tmp_path / "a.png", transparency=bytes(range(16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (read(path) == np.asarray(palette.convert("RGB"))).all()


def test_cmyk_has_the_colours_it_had(tmp_path: Path) -> None:
    path = save(Image.fromarray(SMOOTH).convert("CMYK"), tmp_path / "a.jpg", quality=95)
    with Image.open(path) as image:
        assert image.mode == "CMYK"
    assert np.abs(read(path).astype(int) - SMOOTH).max() < 10


def truncated(path: Path, share: float) -> Path:
    whole = save(Image.fromarray(SMOOTH), path, quality=95).read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    return path


def test_a_truncated_image_is_read_as_far_as_it_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = truncated(tmp_path / "half.jpg", 0.7)
    with caplog.at_level(logging.WARNING):
        pixels = read(path)
        read(path)
    assert pixels.shape == SMOOTH.shape
    assert np.abs(pixels[:16].astype(int) - SMOOTH[:16]).max() < 10
    assert len(set(pixels[-1].ravel().tolist())) == 1  # nothing was left to read there
    assert caplog.messages == [f"the image {path} is truncated; the missing part is grey"]
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"cannot read the image .*/broken\.jpg"):
        read(path)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read the image .*/nowhere\.jpg"):
        read(tmp_path / "nowhere.jpg")


def test_an_image_inside_the_table() -> None:
    assert (np.asarray(read_image(png_uri(PIXELS))) == PIXELS).all()
    with pytest.raises(DatasetError, match="cannot read the image data:"):
        read_image(png_uri(PIXELS)[:60])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "some.zip"
    with ZipFile(path, "w") as file:
        for number in range(40):
            image = Image.fromarray(np.full((28, 28), number, np.uint8))
            file.write(save(image, tmp_path / "a.png"), f"folder/{number:02d}.png")
    return path


def test_a_member_of_an_archive(archive: Path) -> None:
    assert (read(archive / "folder/07.png") == 7).all()
    with pytest.raises(DatasetError, match=r"some\.zip/folder/41\.png"):
        read(archive / "folder/41.png")
    with pytest.raises(DatasetError, match=r"other\.zip/folder/07\.png"):
        read(archive.parent / "other.zip/folder/07.png")


def test_forked_workers_share_no_file_position(archive: Path) -> None:
    """The parent has the archive open already when its workers start."""
    paths = [f"{archive}/folder/{number:02d}.png" for number in range(40)] * 5
    images = Images(make_table(paths, 0, "train"), small().eval)
    assert images[3][0].unique().tolist() == [3]
    loader = DataLoader(images, batch_size=8, num_workers=2, multiprocessing_context="fork")
    found = [int(value) for batch, _ in loader for value in batch.flatten(1)[:, 0]]
    assert found == list(range(40)) * 5


def test_spawned_workers_can_have_a_copy(archive: Path) -> None:
    images = Images(make_table([f"{archive}/folder/07.png"], 0, "train"), small().eval)
    assert images[0][0].unique().tolist() == [7]
    assert pickle.loads(pickle.dumps(images))[0][0].unique().tolist() == [7]
