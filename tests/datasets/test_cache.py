"""What is kept on disk is what was read, and half of it is never taken for the whole."""

import errno
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torchvision.transforms import v2

from datasets.cache import PIXELS, Cache, cache_name, write
from datasets.table import DatasetError

SHAPES = [(4, 6), (1, 1), (5, 3)]


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(256, size=(*shape, 3), dtype=np.uint8) for shape in SHAPES]


@pytest.fixture
def folder(images: list[np.ndarray], tmp_path: Path) -> Path:
    write(tmp_path / "kept", images)
    return tmp_path / "kept"


def test_images_of_any_size_come_back(folder: Path, images: list[np.ndarray]) -> None:
    cache = Cache(folder)
    assert len(cache) == len(images)
    for number in (2, 0, 1):
        assert (np.asarray(cache[number]) == images[number]).all()
        assert cache[number].size == images[number].shape[1::-1]


def test_a_worker_maps_the_file_itself(folder: Path, images: list[np.ndarray]) -> None:
    cache = Cache(folder)
    assert cache[0].mode == "RGB"
    sent = pickle.dumps(cache)
    assert len(sent) < 500
    assert (np.asarray(pickle.loads(sent)[2]) == images[2]).all()


def test_a_changed_byte_is_an_error_that_names_the_folder(folder: Path) -> None:
    content = bytearray((folder / PIXELS).read_bytes())
    content[-1] ^= 1
    (folder / PIXELS).write_bytes(content)
    cache = Cache(folder)
    assert cache[0].size == (6, 4)
    with pytest.raises(DatasetError, match=r"kept is damaged, image 2 fails .*: delete it"):
        cache[2]


def test_a_file_that_was_cut_is_an_error(folder: Path) -> None:
    os.truncate(folder / PIXELS, 50)
    with pytest.raises(DatasetError, match="its length differs from its index"):
        Cache(folder)


def test_an_image_that_cannot_be_read_leaves_nothing(
    images: list[np.ndarray], tmp_path: Path
) -> None:
    def half() -> Iterator[np.ndarray]:
        yield images[0]
        raise DatasetError("cannot read the image b.jpg")

    with pytest.raises(DatasetError, match=r"b\.jpg"):
        write(tmp_path / "kept", half())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_and_says_where(
    images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match=r"cannot write the image cache .*kept: .*No space left"):
        write(tmp_path / "kept", images)
    assert not list(tmp_path.iterdir())


def test_the_name_follows_everything_that_decides_the_pixels(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"1")
        os.utime(tmp_path / name, (1, 1))
    paths, steps = [str(tmp_path / name) for name in ("a.png", "b.png")], [v2.Resize(256)]
    name = cache_name(paths, steps)
    assert name == cache_name(paths, [v2.Resize(256)])
    others = [
        cache_name(paths, [v2.Resize(255)]),
        cache_name(paths, []),
        cache_name(paths[::-1], steps),
    ]
    os.utime(tmp_path / "b.png", (1, 2))
    others.append(cache_name(paths, steps))
    os.utime(tmp_path / "b.png", (1, 1))
    (tmp_path / "b.png").write_bytes(b"22")
    os.utime(tmp_path / "b.png", (1, 1))
    others.append(cache_name(paths, steps))
    assert len({name, *others}) == 6


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read the image .*gone\.png"):
        cache_name([str(tmp_path / "gone.png")], [])
