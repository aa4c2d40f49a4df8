"""One reader for odd images, archives and images inside the table."""

import logging
import os
import pickle
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile
from torch.utils.data import DataLoader

from datasets.digits import png_uri
from datasets.folders import check_files
from datasets.images import Images
from datasets.preparation.fingerprint import fingerprint
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


WIDE = PIXELS[..., 0].astype(np.int64)
SAVED = {  # of the grey PIXELS: what a user saves them as
    "16-bit PGM": (Image.fromarray((WIDE * 256 + 200).astype(np.uint16)), "a.pgm"),
    "16-bit TIFF": (Image.fromarray((WIDE * 256 + 200).astype(np.uint16)), "a.tif"),
    "32-bit TIFF of 16-bit values": (Image.fromarray((WIDE << 8).astype(np.int32)), "a.tif"),
    "32-bit TIFF": (Image.fromarray((WIDE << 23).astype(np.int32)), "a.tif"),
    "float TIFF of 0 to 1": (Image.fromarray((WIDE / 255).astype(np.float32)), "a.tif"),
    "float TIFF of 0 to 255": (Image.fromarray(WIDE.astype(np.float32)), "a.tif"),
    "PFM": (Image.fromarray(WIDE.astype(np.float32)), "a.pfm"),
}


@pytest.mark.parametrize(("image", "name"), SAVED.values(), ids=SAVED.keys())
def test_wide_numbers_are_scaled_not_clipped(image: Image.Image, name: str, tmp_path: Path) -> None:
    """A user's 16-bit PGM and 32-bit TIFF files were all white."""
    assert (read(save(image, tmp_path / name)) == PIXELS[..., :1]).all()


def test_wide_numbers_without_a_sign_use_all_32_bits(tmp_path: Path) -> None:
    """A user's uint32 TIFF was written by another library than PIL."""
    image = Image.fromarray((WIDE << 24).astype(np.uint32).view(np.int32))
    path = save(image, tmp_path / "a.tif")
    signed, unsigned = (struct.pack("<HHIH", 339, 3, 1, kind) for kind in (2, 1))
    path.write_bytes(path.read_bytes().replace(signed, unsigned))
    assert (read(path) == PIXELS[..., :1]).all()


def test_what_is_no_brightness_is_black(tmp_path: Path) -> None:
    integers = np.array([[-5, 2**30]], np.int32)
    assert read(save(Image.fromarray(integers), tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 128]
    floats = np.array([[-1, np.nan, 0.2, 1]], np.float32)
    read_back = read(save(Image.fromarray(floats), tmp_path / "b.tif"))
    assert read_back[0, :, 0].tolist() == [0, 0, 51, 255]


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "RGBX", "CMYK", "PA", "LA", "P"])
def test_every_colour_space_of_tiff_has_the_colours_it_had(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(SMOOTH)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", mode))
    else:
        image = (image.quantize() if mode.startswith("P") else image).convert(mode)
    path = save(image, tmp_path / "a.tif")
    with Image.open(path) as saved:
        assert saved.mode == mode.replace("RGBX", "RGB")
    assert np.abs(read(path).astype(int) - SMOOTH).mean() < 6


def test_an_orientation_is_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = save(Image.fromarray(PIXELS), tmp_path / "a.png", exif=exif)
    assert (read(path) == PIXELS).all()


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


def written() -> Iterator[tuple[str, bytes]]:
    """A small image in every format and mode that PIL writes here."""
    Image.init()
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "LA", "I;16"):
        for kind in sorted(Image.SAVE):
            buffer = BytesIO()
            with suppress(Exception), warnings.catch_warnings(action="ignore"):
                Image.fromarray(PIXELS).convert(mode).save(buffer, kind)
                yield f"{kind} {mode}", buffer.getvalue()


def spoiled(content: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """The content cut, emptied and with flipped bits, most of them in its header."""
    for share in (0, 0.7):
        yield content[: int(share * len(content))]
    for reach in (32, 128, len(content)):
        bits = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, min(reach, len(content)), 3)
        bits[places] ^= (1 << rng.integers(0, 8, 3)).astype(np.uint8)
        yield bits.tobytes()


def test_any_image_is_read_or_named(tmp_path: Path) -> None:
    """A user's disk cut or flipped some bytes of an image of whatever format."""
    rng = np.random.default_rng(0)
    path = tmp_path / "a.img"
    kinds = dict(written())
    assert len({kind.split()[0] for kind in kinds}) > 20
    outcomes = {"read": 0, "named": 0}
    for content in kinds.values():
        for damaged in (content, *spoiled(content, rng)):
            path.write_bytes(damaged)
            try:
                assert read_image(str(path)).mode == "RGB"
                outcomes["read"] += 1
            except DatasetError as error:
                outcomes["named"] += str(error).startswith(f"cannot read the image {path}: ")
    assert sum(outcomes.values()) == 6 * len(kinds)
    assert min(outcomes.values()) > 200


def test_an_image_that_is_too_large_is_named(tmp_path: Path) -> None:
    """A user had a scan of 20,000 x 20,000 pixels among the images."""
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 20000 20000 255\n")
    with pytest.raises(DatasetError, match=rf"cannot read the image {path}: Image size .* exceeds"):
        read(path)


def test_a_path_without_an_end_is_named(tmp_path: Path) -> None:
    """A user's table named a pipe, and the run waited for ever."""
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.zip")
    for path in (tmp_path / "pipe.png", "/dev/zero", tmp_path / "pipe.zip/a.png", tmp_path):
        with pytest.raises(
            DatasetError, match=f"cannot read the image {path}: it is not a regular file"
        ):
            read_image(str(path))
        assert "not a regular file" in fingerprint(str(path)).problem


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


def test_a_damaged_archive_is_named(archive: Path, tmp_path: Path) -> None:
    """A user's archive was cut, encrypted, or had a bad checksum."""
    whole = archive.read_bytes()
    data, directory = whole.index(b"folder/00.png") + 20, whole.index(b"PK\1\2")
    flags = bytearray(whole)
    flags[6] = flags[directory + 8] = 1  # encrypted
    spoilt = {
        "crc.zip": whole[:data] + bytes([whole[data] ^ 1]) + whole[data + 1 :],
        "encrypted.zip": bytes(flags),
        "cut.zip": whole[: len(whole) // 2],
    }
    for name, content in spoilt.items():
        (tmp_path / name).write_bytes(content)
        path = f"{tmp_path / name}/folder/00.png"
        with pytest.raises(DatasetError, match=f"cannot read the image {path}: "):
            read_image(path)
    with pytest.raises(DatasetError, match=r"cannot read the archive .*cut\.zip: "):
        check_files(make_table([f"{tmp_path}/cut.zip/folder/00.png"], 0, "train"))


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
