"""Whatever the images of a run are read from, they are the same, but for those of a device."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from datasets import images as images_module
from datasets.cub200 import cub200
from datasets.images import Images
from datasets.table import DatasetError, Table, make_table
from datasets.transforms import Transforms, base, musgrave, small
from engine.config.run_name import CONF
from engine.data import image_source as source_module
from engine.data.gpu_decode import Decoder, EncodedImages, collate
from engine.data.image_source import (
    ImageSource,
    SourceConfig,
    open_or_build_cache,
    select_source,
    source_of,
)
from engine.data.loader import SeededBatches, evaluation_loader, training_loader

CPU = torch.device("cpu")


@pytest.fixture
def train(cub200_tree: Path) -> Images:
    table = cub200(str(cub200_tree))
    return Images(table[table["split"] == "train"], base(32, 40).train)


def choice(source: ImageSource, folder: Path) -> SourceConfig:
    return SourceConfig(source, folder / "caches", num_workers=0)


class Twice:
    """Two batches of three, among them one image twice."""

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int:
        return 2

    def __iter__(self):  # noqa: ANN204
        return iter([[0, 1, 1], [3, 2, 0]])


def epoch(images: Images) -> list[tuple[Tensor, Tensor]]:
    return list(training_loader(images, SeededBatches(Twice(), seed=5), 0, CPU))


@pytest.mark.parametrize("transforms", [base(32, 40), musgrave(32, 40), small()])
def test_a_cache_has_the_pixels_of_the_files(
    train: Images, transforms: Transforms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.transform = transforms.train
    from_files = epoch(train)
    assert select_source(choice("cache", tmp_path), train).startswith("cache ")
    monkeypatch.setattr(images_module, "read_image", None)  # no file is read any more
    for (images, labels), (others, other_labels) in zip(from_files, epoch(train), strict=True):
        assert images.equal(others)
        assert labels.equal(other_labels)


def test_a_cache_is_built_once(
    train: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = select_source(choice("cache", tmp_path), train)
    monkeypatch.setattr(source_module, "write", None)
    assert select_source(choice("cache", tmp_path), train) == first


def test_what_killed_processes_left_of_caches_is_removed(train: Images, tmp_path: Path) -> None:
    """A run was killed while it kept images, and the next one had another transform."""
    left, busy = tmp_path / "caches" / "left.part", tmp_path / "caches" / "busy.part"
    for part in (left, busy):
        part.mkdir(parents=True)
        (part / "pixels.bin").touch()
    with FileLock(busy.with_suffix(".lock")):
        select_source(choice("cache", tmp_path), train)
    assert not left.exists()
    assert busy.exists()


def test_another_size_is_another_cache(train: Images, tmp_path: Path) -> None:
    names = set()
    for size in (40, 41):
        train.transform, train.cache = musgrave(32, size).train, None
        names.add(select_source(choice("cache", tmp_path), train))
        assert min(train.prepared(0).size) == size
    assert len(names) == 2


def build(images: Images, folder: Path, gate: "multiprocessing.Barrier") -> None:
    gate.wait()
    select_source(choice("cache", folder), images)


def test_several_processes_build_one_cache(train: Images, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(3)
    processes = [context.Process(target=build, args=(train, tmp_path, gate)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    folders = [path for path in (tmp_path / "caches").iterdir() if path.is_dir()]
    assert len(folders) == 1
    from_files = [np.asarray(train.prepared(number)) for number in range(len(train))]
    select_source(choice("cache", tmp_path), train)
    assert train.cache is not None
    kept = [np.asarray(train.prepared(number)) for number in range(len(train))]
    assert all((a == b).all() for a, b in zip(from_files, kept, strict=True))


@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ({"source": "auto"}, "trainer.source=auto is deprecated and means files, the default"),
        ({"cache_gib": 8}, "trainer.cache_gib is deprecated and has no effect"),
    ],
)
def test_a_deprecated_setting_is_taken_and_named(
    setting: dict[str, object], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    defaults = yaml.safe_load((CONF / "trainer" / "default.yaml").read_text())
    assert source_of(OmegaConf.create(defaults)) == "files"
    assert not caplog.messages
    assert source_of(OmegaConf.create(defaults | setting)) == "files"
    (message,) = caplog.messages
    assert message.startswith(warning)


def test_every_split_has_its_own_source(train: Images, tmp_path: Path) -> None:
    test = Images(table_of(train), base(32, 40).eval)
    told = open_or_build_cache(choice("cache", tmp_path), train, {"test": test})
    assert list(told) == ["training", "test"]
    assert told["training"] != told["test"]
    assert open_or_build_cache(choice("files", tmp_path), train, {}) == {"training": "files"}


def table_of(images: Images) -> Table:
    return make_table(images.paths, images.labels, "test")


def test_no_room_is_one_error(train: Images, tmp_path: Path) -> None:
    (tmp_path / "caches").write_text("a file where the folder should be")
    with pytest.raises((DatasetError, OSError)):
        select_source(choice("cache", tmp_path), train)


@pytest.mark.parametrize("transforms", [base(32, 40), musgrave(32, 40)])
def test_a_device_draws_the_same_and_rounds_otherwise(
    train: Images, transforms: Transforms, tmp_path: Path
) -> None:
    """A photograph, smooth as they are; noise would show the interpolations' differences only."""
    ramp = np.linspace(0, 255, 90 * 120).reshape(90, 120)
    photo = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2).astype(np.uint8)
    for number, path in enumerate(train.paths):
        Image.fromarray(np.roll(photo, 5 * number, axis=1)).save(path, quality=95)
    train.transform = transforms.train
    on_host = epoch(train)
    assert select_source(choice("device", tmp_path), train) == "device"
    for (images, labels), (others, other_labels) in zip(on_host, epoch(train), strict=True):
        assert labels.equal(other_labels)
        assert others.shape == images.shape
        assert others.dtype == torch.uint8
        difference = (images.float() - others.float()).abs()
        assert difference.mean() < 2, "another crop or flip would be far off"


def test_images_that_no_device_decodes_are_left_to_pil(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    pixels = np.stack([ramp, 255 - ramp, ramp[::-1]], axis=2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "plain.jpg")
    Image.fromarray(pixels).convert("L").save(tmp_path / "grey.jpg")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "print.jpg")
    content = (tmp_path / "plain.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:-100])
    names = ("a.png", "plain.jpg", "grey.jpg", "print.jpg", "cut.jpg")
    table = make_table([str(tmp_path / name) for name in names], 0, "test")
    images = Images(table, small(8).eval, on_device=True)
    read = collate([EncodedImages(images)[number] for number in range(len(names))])
    assert [content.ndim for content in read.contents] == [3, 1, 1, 3, 3]
    decoded, _ = Decoder(images.transform)(read, CPU)
    expected = torch.stack([images[number][0] for number in range(len(names))])
    assert (decoded.float() - expected.float()).abs().max() <= 4
    ((batch, labels),) = list(evaluation_loader(images, 5, 0, CPU))
    assert batch.equal(decoded)
    assert labels.tolist() == [0] * 5


def test_a_lock_dies_with_its_process(train: Images, tmp_path: Path) -> None:
    """A process that is killed while it builds is in nobody's way."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=die_building, args=(train, tmp_path))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert list((tmp_path / "caches").glob("*.part"))
    assert select_source(choice("cache", tmp_path), train).startswith("cache")
    assert not list((tmp_path / "caches").glob("*.part"))


def die_building(images: Images, folder: Path) -> None:
    images.prepared = lambda _: os.kill(os.getpid(), 9)  # type: ignore[method-assign]
    select_source(choice("cache", folder), images)
