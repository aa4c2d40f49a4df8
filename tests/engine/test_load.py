"""A run as a Python object: its embeddings are those of the evaluation, to the last bit."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import engine.measure
from core.errors import UserError
from datasets.digits import digits
from datasets.reader import read_image
from datasets.table import DatasetError
from engine.config.errors import ConfigurationError
from engine.load import TrainedEmbedder, load
from engine.trained_run import NoRunError
from evaluation.embed import Embedded
from tests.commands import command

ROOT = Path(__file__).parents[2]


def test_images() -> list[str]:
    table = digits()
    return list(table["path"][table["split"] == "test"])


test_images.__test__ = False  # type: ignore[attr-defined]


def trained(folder: Path, *overrides: str) -> tuple[Path, Tensor]:
    """A run of four steps, and the test embeddings of its last evaluation."""
    evaluated: list[Embedded] = []
    original = engine.measure.embed_split

    def recorded(*arguments: Any) -> Embedded:  # noqa: ANN401
        evaluated.append(original(*arguments))
        return evaluated[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.measure, "embed_split", recorded)
        run = command(folder, *overrides)
    return run, evaluated[-1].embeddings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    return trained(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def embedder(run: tuple[Path, Tensor]) -> TrainedEmbedder:
    return load(run[0], device="cpu")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Images of four modes, one in a folder whose name has a blank."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "some photos"
    folder.mkdir()
    grey, rgba = rng.integers(256, size=(40, 30)), rng.integers(256, size=(30, 40, 4))
    images = {
        "grey.png": Image.fromarray(grey.astype(np.uint8)),
        "wide.png": Image.fromarray((grey[::-1] * 257).astype(np.uint16)),
        "alpha.png": Image.fromarray(rgba.astype(np.uint8)),
        "colour.jpg": Image.fromarray(rgba[..., :3].astype(np.uint8)),
    }
    for name, image in images.items():
        image.save(folder / name)
    return [folder / name for name in images]


def test_embeddings_are_those_of_the_evaluation(
    run: tuple[Path, Tensor], embedder: TrainedEmbedder
) -> None:
    embeddings = embedder.embed(test_images())
    assert embeddings.equal(run[1])
    assert embeddings.dtype == torch.float32
    assert embeddings.shape[1] == embedder.embedding_dim
    assert embedder.normalized
    assert not embeddings.is_inference(), "others may compute gradients with them"


def test_embeddings_are_those_of_the_evaluation_in_lower_precision(tmp_path: Path) -> None:
    small = ("trainer.precision=bf16-mixed", "evaluation.batch_size=50", "evaluation=pca")
    run, evaluated = trained(tmp_path, *small, "evaluation.measure.transform.num_components=8")
    embedder = load(run / "checkpoints" / "last.pt", device="cpu", workers=2)
    assert embedder.embed(test_images()).equal(evaluated)


def test_files_images_and_arrays_are_the_same(
    embedder: TrainedEmbedder, photos: list[Path]
) -> None:
    expected = embedder.embed(photos)
    assert len({tuple(row) for row in expected.tolist()}) == len(photos)
    assert embedder.embed([str(path) for path in photos]).equal(expected)
    assert embedder.embed([Image.open(path) for path in photos]).equal(expected)
    arrays = [np.asarray(read_image(str(path))) for path in photos]
    assert embedder.embed(arrays).equal(expected)
    assert embedder.embed([photos[0], Image.open(photos[1]), *arrays[2:]]).equal(expected)


@pytest.mark.parametrize("page", ["README.md", "docs/use_a_model.md"])
def test_the_three_lines_of_a_page_work(
    run: tuple[Path, Tensor], photos: list[Path], page: str
) -> None:
    text = (ROOT / page).read_text()
    (lines,) = re.findall(r"```python\n(from engine\.load import load\n.*?)```", text, re.DOTALL)
    for said, meant in zip(re.findall(r'"([^"]*)"', lines), [run[0], *photos], strict=False):
        lines = lines.replace(said, str(meant))
    names: dict[str, Any] = {}
    exec(lines, names)
    assert names["embeddings"].equal(names["embedder"].embed(photos[:2]))


def test_real_photographs(embedder: TrainedEmbedder, grocery_store_root: str) -> None:
    """JPEG files of a camera, as files, as opened images and as pixels."""
    folder = Path(grocery_store_root) / "grocery_store" / "dataset" / "test"
    photos = sorted(folder.rglob("*.jpg"))[::300]
    assert len(photos) > 4
    embeddings = embedder.embed(photos)
    assert embeddings.isfinite().all()
    assert embedder.embed([Image.open(photo) for photo in photos]).equal(embeddings)
    assert embedder.embed([np.asarray(Image.open(p)) for p in photos]).equal(embeddings)


def test_nothing_and_one(embedder: TrainedEmbedder, photos: list[Path]) -> None:
    assert embedder.embed([]).shape == (0, embedder.embedding_dim)
    torch.testing.assert_close(embedder.embed(photos[1:2]), embedder.embed(photos)[1:2])


def test_paths_are_relative_to_the_working_directory(
    run: tuple[Path, Tensor], photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(run[0], device="cpu").embed(photos)
    monkeypatch.chdir(photos[0].parent)
    embedder = load(os.path.relpath(run[0]), device="cpu", batch_size=4, workers=1)
    assert embedder.embed([path.name for path in photos]).equal(expected)


def test_another_program_in_another_folder(
    run: tuple[Path, Tensor], photos: list[Path], embedder: TrainedEmbedder
) -> None:
    """It needs the repository on its path, and nothing of the run but its folder."""
    program = (
        "import sys, torch; torch.set_num_threads(int(sys.argv[1]))\n"
        "from engine.load import load\n"
        "embedder = load(sys.argv[2], device='cpu')\n"
        "torch.save(embedder.embed(sys.argv[3:]), 'embeddings.pt')"
    )
    folder = photos[0].parent
    arguments = [str(torch.get_num_threads()), os.path.relpath(run[0], folder)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments, *(p.name for p in photos)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    embeddings = torch.load(folder / "embeddings.pt", weights_only=True)
    torch.testing.assert_close(embeddings, embedder.embed(photos))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_file_is_named_in_one_line(
    run: tuple[Path, Tensor], photos: list[Path], workers: int
) -> None:
    photos[2].write_bytes(b"no image")
    embedder = load(run[0], device="cpu", batch_size=2, workers=workers)
    with pytest.raises(DatasetError) as caught:
        embedder.embed(photos)
    assert str(caught.value).startswith(f"cannot read the image {photos[2]}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named_before_any_is_read(
    embedder: TrainedEmbedder, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.image_list.read_image", lambda path: pytest.fail(path))
    with pytest.raises(DatasetError, match=r"cannot read the image .*none\.png: .*No such file"):
        embedder.embed([*photos, photos[0].with_name("none.png")])


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ("photo.png", r"a list of images: embed\(\[image\]\)"),
        (Path("photo.png"), r"a list of images: embed\(\[image\]\)"),
        ([3], "number 0 of the list is of int; it must be a path, a PIL image or a uint8 array"),
        ([np.zeros((4, 4, 3))], r"number 0 of the list is of float64 \(4, 4, 3\)"),
        ([np.zeros((3, 4, 4), np.uint8)], r"uint8 \(3, 4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), r"number 0 of the list is of uint8 \(4, 3\)"),
        ([np.zeros((0, 4, 3), np.uint8)], r"uint8 \(0, 4, 3\)"),
    ],
)
def test_what_is_no_image_is_refused(embedder: TrainedEmbedder, images: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(DatasetError, match=said):
        embedder.embed(images)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"device": "gpux"}, "trainer.accelerator"),
        ({"device": "cuda:x"}, "device=cuda:x: choose auto, cpu, cuda, cuda:<number> or mps"),
        ({"device": "cpu:1"}, "device=cpu:1"),
        ({"batch_size": 0}, "evaluation.batch_size"),
        ({"workers": -1}, "trainer.workers"),
    ],
)
def test_a_wrong_argument_is_one_line(
    run: tuple[Path, Tensor], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(run[0], **arguments)
    assert "\n" not in str(caught.value)


def test_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match="does not exist"):
        load(tmp_path / "none")
    assert issubclass(NoRunError, UserError)


def test_a_network_without_training_is_loaded_too(tmp_path: Path) -> None:
    run, evaluated = trained(tmp_path, "trainer.iterations=null", "trainer.epochs=0")
    assert torch.equal(load(run, device="cpu").embed(test_images()), evaluated)
