"""A finished run, exported: the files compute its embeddings, or they are not kept."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from PIL import Image
from torch import Tensor

from datasets.digits import digits
from datasets.reader import read_image
from engine.export import onnx
from engine.export.onnx import OnnxNetwork
from engine.export.safetensors import load_safetensors
from engine.load import TrainedEmbedder, load
from scripts.export import main
from tests.programs import run_command

ROOT = Path(__file__).parents[2]
FORMATS = ("onnx", "pt2", "safetensors")
BESIDE = {"preprocessing.json", "parity.json", "README.md", "config.yaml"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on digits in a CSV file, which is validated, too."""
    folder = tmp_path_factory.mktemp("exported")
    digits().to_csv(folder / "digits.csv", index=False)
    small = (f"dataset.path={folder}/digits.csv", "metric=[recall,map_at_r]", "backbone=convnet")
    done = run_command(
        *("main.py", "dataset=csv", f"paths.runs={folder}/runs", *small, "transform=small"),
        *("tracker.mode=disabled", "trainer.iterations=12", "trainer.evaluate_every_iterations=4"),
        *("trainer.workers=0", "backbone.embedding_dim=32", "optimizer=adam_scratch"),
        *(
            "validation=samples",
            "transform.size=16",
            "sampler.batch_size=60",
            "sampler.samples_per_class=12",
        ),
    )
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("runs/*/*/seed*")
    return found


@pytest.fixture(scope="module")
def embedder(run: Path) -> TrainedEmbedder:
    return load(run, device="cpu", workers=0)


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photo.jpg in the working directory."""
    Image.open(ROOT / "docs/pictures/neighbors.png").convert("RGB").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photo.jpg"


def export(run: Path, out: Path, *arguments: str) -> dict[str, Any]:
    """What parity.json says of an export in this process."""
    main([f"run={run}", f"out={out}", "trainer.workers=0", *arguments])
    content: dict[str, Any] = json.loads((out / "parity.json").read_text())
    return content


def error(*arguments: str) -> str:
    with pytest.raises(SystemExit) as raised:
        main(list(arguments))
    line = str(raised.value.code)
    assert line.startswith("error: ")
    assert "\n" not in line
    return line


def python_of(card: str) -> str:
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    return str(lines)


def pixels(num: int) -> Tensor:
    generator = torch.Generator().manual_seed(num)
    return torch.randint(0, 256, (num, 3, 16, 16), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_file_holds_on_the_test_images_and_says_so(
    kind: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = export(run, tmp_path, f"format={kind}")
    assert {path.name for path in tmp_path.iterdir()} == BESIDE | {f"model.{kind}"}
    table = digits()
    assert record["num_images"] == (table["split"] == "test").sum()
    assert record["images"] == "test"
    assert 0 <= record["largest_difference"] <= record["tolerance"] == 1e-4
    last = json.loads((run / "summary.json").read_text())["last"]
    for of in ("run", "file"):
        for name in ("recall@1", "map@r"):
            assert record["metrics"][of][name] == pytest.approx(last[f"test/{name}"], abs=1e-3)
    said = capsys.readouterr().out
    assert "recall@1" in said
    assert said.splitlines()[-1] == str(tmp_path / f"model.{kind}")


@pytest.mark.parametrize("num", [1, 2, 5])
def test_onnxruntime_alone_computes_a_batch_of_any_size(
    num: int, run: Path, tmp_path: Path, embedder: TrainedEmbedder
) -> None:
    export(run, tmp_path, "check=random")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {"images": pixels(num).numpy()})
    with torch.no_grad():
        expected = embedder.model.eval()(pixels(num)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    stored = session.get_modelmeta().custom_metadata_map["preprocessing"]
    assert json.loads(stored) == json.loads((tmp_path / "preprocessing.json").read_text())


@pytest.mark.parametrize("kind", FORMATS)
def test_the_python_of_the_model_card_embeds_a_photo_as_the_run_does(
    kind: str, run: Path, photo: Path, embedder: TrainedEmbedder
) -> None:
    export(run, photo.parent, f"format={kind}", "check=random")
    names: dict[str, Any] = {}
    exec(python_of((photo.parent / "README.md").read_text()), names)
    found = np.asarray(names["embeddings"].detach() if kind == "pt2" else names["embeddings"])
    np.testing.assert_allclose(found, embedder.embed([photo]).numpy(), atol=1e-5)


def test_weights_and_configuration_rebuild_the_embedder_bit_for_bit(
    run: Path, tmp_path: Path, embedder: TrainedEmbedder
) -> None:
    export(run, tmp_path / "first", "format=safetensors", "check=random")
    folder = shutil.move(tmp_path / "first", tmp_path / "moved")
    images = [read_image(path) for path in digits()["path"][:9]]
    rebuilt = load_safetensors(folder, device="cpu")
    assert torch.equal(rebuilt.embed(images), embedder.embed(images))
    assert rebuilt.embedding_dim == 32


def test_no_exported_text_names_a_folder_of_this_machine(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path, "format=safetensors", "check=random")
    for path in tmp_path.glob("*[!s]"):
        assert str(run.parents[3]) not in path.read_text(), path
        assert str(ROOT) not in path.read_text(), path


def test_a_file_that_differs_is_not_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = OnnxNetwork.forward

    def shifted(self: OnnxNetwork, images: Tensor) -> Tensor:
        embeddings = compute(self, images)
        embeddings[-1, 0] += 2e-4
        return embeddings

    monkeypatch.setattr(OnnxNetwork, "forward", shifted)
    line = error(f"run={run}", f"out={tmp_path}", "trainer.workers=0")
    assert "the onnx file is not kept" in line
    assert "2.0e-04" in line
    assert not list(tmp_path.iterdir())


def test_eight_bits_state_what_they_change(run: Path, tmp_path: Path) -> None:
    record = export(run, tmp_path, "quantize=int8")
    assert {path.name for path in tmp_path.iterdir()} == BESIDE | {"model_int8.onnx"}
    assert record["largest_difference"] > 1e-4
    assert record["metrics"]["file"]["recall@1"] > 0.5 * record["metrics"]["run"]["recall@1"]
    full = tmp_path / "full"
    export(run, full, "check=random")
    sizes = [path.stat().st_size for path in (tmp_path / "model_int8.onnx", full / "model.onnx")]
    assert sizes[0] < 0.4 * sizes[1]
    card = (tmp_path / "README.md").read_text()
    for of in ("run", "file"):
        assert f"{record['metrics'][of]['recall@1']:.4f}" in card


def test_eight_bits_need_onnx(run: Path, tmp_path: Path) -> None:
    line = error(f"run={run}", f"out={tmp_path}/new", "quantize=int8", "format=pt2")
    assert "quantize=int8 needs format=onnx" in line
    assert not (tmp_path / "new").exists()


def test_data_that_are_not_here_are_named_and_random_images_do_without(
    run: Path, tmp_path: Path
) -> None:
    elsewhere = (f"run={run}", f"out={tmp_path}", f"dataset.path={tmp_path}/photos.csv")
    line = error(*elsewhere)
    assert f"{tmp_path}/photos.csv does not exist" in line
    assert "check=random" in line
    main([*elsewhere, "check=random"])
    record = json.loads((tmp_path / "parity.json").read_text())
    assert record["images"] == "random"
    assert record["metrics"] == {"run": {}, "file": {}}
    assert record["largest_difference"] <= 1e-4


def test_missing_packages_are_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: name == "onnx" or None)
    line = error(f"run={run}", f"out={tmp_path}", "check=random")
    assert "needs onnxscript, onnxruntime: pip install -r requirements-export.txt" in line


@pytest.mark.parametrize(
    ("argument", "said"),
    [("format=tflite", "format=tflite"), ("quantize=int4", "quantize=int4"), ("frmt=onnx", "frmt")],
)
def test_a_wrong_value_is_one_line(argument: str, said: str, run: Path) -> None:
    assert said in error(f"run={run}", argument)


def test_out_is_a_folder(run: Path, tmp_path: Path) -> None:
    line = error(f"run={run}", f"out={tmp_path}/photos.onnx", "check=random")
    assert "photos.onnx is to be a folder; the file in it is model.onnx" in line
    assert not list(tmp_path.iterdir())


def test_no_run_is_one_line(tmp_path: Path) -> None:
    assert "does not exist" in error(f"run={tmp_path}/none")


def test_the_model_card_says_what_the_numbers_are(run: Path, tmp_path: Path) -> None:
    record = export(run, tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    (result,) = (r for r in card.data.eval_results if r.metric_type == "recall@1")
    assert result.metric_value == record["metrics"]["file"]["recall@1"]
    assert (result.dataset_name, result.dataset_split) == ("digits", "test")
    assert "reading `last`" in card.text
    assert "optimizer step 12" in card.text
    assert "dataset=csv" in card.text
    assert "random weights" in card.text
    table = digits()
    test = table[table["split"] == "test"]
    assert f"| test | {test['label'].nunique()} | {len(test)} |" in card.text


@pytest.mark.parametrize(
    ("name", "said"),
    [("best_test_recall@1.pt", "too optimistic"), ("best_val_recall@1.pt", "validation images")],
)
def test_the_model_card_says_which_epoch_was_chosen(
    name: str, said: str, run: Path, tmp_path: Path
) -> None:
    export(run / "checkpoints" / name, tmp_path, "check=random")
    card = (tmp_path / "README.md").read_text()
    assert said in card
    assert "recall@1" in card


def test_the_default_folder_is_below_the_run(run: Path) -> None:
    main([f"run={run}", "check=random", "format=pt2"])
    assert (run / "export" / "pt2" / "model.pt2").is_file()
    main([f"run={run}", "check=random", "quantize=int8"])
    assert (run / "export" / "onnx_int8" / "model_int8.onnx").is_file()


def test_the_configuration_is_plain_data(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path, "check=random")
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert config["dataset"]["path"] == "digits.csv"
    assert config["backbone"]["embedding_dim"] == 32
