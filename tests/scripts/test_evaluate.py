"""A finished run, evaluated again: the same numbers, the files it promises, one line for errors."""

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from datasets.digits import digits
from engine.embeddings.origin import recorded_origin
from engine.trained_run import TrainedModel
from scripts import compare
from scripts.evaluate import main
from tests.programs import run_command
from tracking.run_folder import checksum

ROOT = Path(__file__).parents[2]
METRICS = "metric=[recall,nmi,map_at_r,rho_spectrum]"
FILES = (
    *("metrics.json", "queries.parquet", "classes.csv", "hardest_classes.md"),
    *("recall_curve.png", "recall_curve.pdf", "spectrum.png", "spectrum.pdf"),
    *("class_map.png", "class_map.pdf", "neighbors.png", "neighbors.pdf"),
)


def command(*arguments: str) -> str:
    """Standard output of a command of the project."""
    done = run_command(*arguments, WANDB_API_KEY="0" * 40)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on the digits, validated on unseen images."""
    runs = tmp_path_factory.mktemp("runs")
    small = ("dataset=digits", METRICS, "tracker.mode=disabled", "trainer.iterations=12")
    rhythm = ("trainer.evaluate_every_iterations=4", "trainer.workers=0")
    command("main.py", f"paths.runs={runs}", *small, *rhythm)
    (folder,) = runs.glob("*/*/seed*")
    return folder


@pytest.fixture(scope="module")
def evaluated(run: Path) -> Path:
    output = command("-m", "scripts.evaluate", f"run={run}", "tracker.mode=offline")
    path = Path(output.splitlines()[-1])
    assert path == run / "evaluation" / "digits_test_last" / "metrics.json"
    assert "test/recall@1" in output
    return path.parent


def evaluate(run: Path, *arguments: str) -> dict[str, Any]:
    """The numbers of one more evaluation, in this process, without pictures unless asked for."""
    main([f"run={run}", "trainer.workers=0", "name=again", "draw=false", *arguments])
    folder = run if run.is_dir() else run.parents[1]
    content: dict[str, Any] = json.loads((folder / "evaluation/again/metrics.json").read_text())
    return content


def reading(run: Path, name: str, split: str) -> dict[str, Any]:
    summary = json.loads((run / "summary.json").read_text())
    return {key: value for key, value in summary[name].items() if key.startswith(f"{split}/")}


def test_the_numbers_are_those_of_the_run(run: Path, evaluated: Path) -> None:
    content = json.loads((evaluated / "metrics.json").read_text())
    assert content["metrics"] == reading(run, "last", "test")
    assert (content["dataset"], content["split"], content["step"]) == ("digits", "test", 12)
    assert (content["checkpoint"], content["overrides"]) == ("last.pt", ["tracker.mode=offline"])


def test_every_file_is_there_and_shows_something(evaluated: Path) -> None:
    assert sorted(path.name for path in evaluated.iterdir()) == sorted(FILES)
    for path in evaluated.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 300
            assert not picture.info.keys() & {"Software", "Creation Time", "Author"}
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20, path
    for path in evaluated.iterdir():
        assert path.stat().st_size > 100
        assert str(ROOT).encode() not in path.read_bytes(), path


def test_one_row_per_query(run: Path, evaluated: Path) -> None:
    queries = pd.read_parquet(evaluated / "queries.parquet")
    test = digits().query("split == 'test'").reset_index(drop=True)
    assert len(queries) == len(test)
    assert queries["class"].tolist() == [str(label) for label in test["label"]]
    assert all(len(found) == 10 for found in queries["neighbors"])
    recall = (queries["first_hit"] == 1).mean()
    assert recall == pytest.approx(reading(run, "last", "test")["test/recall@1"])
    classes = pd.read_csv(evaluated / "classes.csv")
    assert classes["queries"].sum() == len(test)
    assert np.average(classes["recall@1"], weights=classes["queries"]) == pytest.approx(recall)
    assert (evaluated / "hardest_classes.md").read_text().count("\n") == 2 + 5


def test_pictures_go_to_a_page_of_their_own_at_wandb(run: Path, evaluated: Path) -> None:
    (page,) = run.glob("wandb/offline-run-*_digits_test_last")  # or of `latest-run`
    shown = {path.name.split("_12_")[0] for path in page.glob("files/media/images/pictures/*.png")}
    assert shown == {path.stem for path in evaluated.glob("*.png")}


def test_the_same_again_gives_the_same_files(run: Path, evaluated: Path) -> None:
    options = ["trainer.workers=0", "tracker.mode=offline", "name=twin"]
    command("-m", "scripts.evaluate", f"run={run}", *options)
    for name in FILES:
        if name != "metrics.json":  # it holds the arguments
            twin = (run / "evaluation" / "twin" / name).read_bytes()
            assert twin == (evaluated / name).read_bytes(), name


def test_the_validation_split_is_the_one_of_the_run(run: Path) -> None:
    last = reading(run, "last", "val")
    metrics = evaluate(run, "split=val", "metric=[recall,map_at_r]")["metrics"]
    assert metrics == pytest.approx({name: last[name] for name in metrics})
    assert metrics["val/num_queries"] > 0


def test_a_checkpoint_is_evaluated_by_its_path(run: Path) -> None:
    content = evaluate(run / "checkpoints" / "best_test_recall@1.pt", "metric=[recall]")
    oracle = reading(run, "oracle", "test")
    assert content["metrics"]["test/recall@1"] == pytest.approx(oracle["test/recall@1"])
    assert content["checkpoint"] == "best_test_recall@1.pt"


def test_other_numbers_and_another_space(run: Path) -> None:
    content = evaluate(run, "metric=[f1]", "evaluation.measure.distance=euclidean")
    assert content["metrics"].keys() == {"test/f1"}


def test_another_dataset_with_query_and_gallery(run: Path, inshop_tree: Path) -> None:
    other = ("dataset=inshop", "dataset.counts=null", f"paths.data={inshop_tree}")
    content = evaluate(run, *other, "metric=[recall_inshop]", "draw=true", "neighbors=3")
    assert content["dataset"] == "inshop"
    assert content["metrics"]["test/num_queries"] == 8
    folder = run / "evaluation" / "again"
    queries = pd.read_parquet(folder / "queries.parquet")
    assert not set(queries["query"]) & {index for row in queries["neighbors"] for index in row}
    assert set(FILES) == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("setting", "first_class"),
    [("within=category", "id_00000005"), ("level=category", "WOMEN/Dresses")],
)
def test_super_classes_on_their_own_and_as_classes(
    setting: str, first_class: str, run: Path, inshop_tree: Path
) -> None:
    other = ("dataset=inshop", "dataset.counts=null", f"paths.data={inshop_tree}", "draw=true")
    by_category = "evaluation.measure.averages.by_category=true"
    content = evaluate(
        run, *other, "metric=[recall_inshop,nmi]", f"evaluation.measure.{setting}", by_category
    )
    assert content["metrics"]["test/num_queries"] == 8
    both = [content["metrics"][f"test/recall@1/{kind}"] for kind in ("MEN/Denim", "WOMEN/Dresses")]
    assert content["metrics"]["test/recall@1"] == pytest.approx(np.mean(both))
    assert ("test/nmi/MEN/Denim" in content["metrics"]) == setting.startswith("within")
    folder = run / "evaluation" / "again"
    assert set(FILES) == {path.name for path in folder.iterdir()}
    queries = pd.read_parquet(folder / "queries.parquet")
    assert queries["class"][0] == first_class
    classes = pd.read_csv(folder / "classes.csv")
    assert set(classes["class"]) == set(queries["class"])
    if setting.startswith("within"):
        assert {len(row) for row in queries["neighbors"]} == {4}  # the gallery of a category
        assert content["metrics"]["test/recall@20"] == 1


@pytest.mark.parametrize(
    ("dataset", "metric", "embedding_size"),
    [("digits", METRICS, 128), ("inshop", "metric=[recall_inshop,nmi,map_at_r]", 128)],
)
def test_written_embeddings_have_the_same_metrics(
    dataset: str, metric: str, embedding_size: int, run: Path, inshop_tree: Path, tmp_path: Path
) -> None:
    """The run writes embeddings, and they are evaluated without its network and images."""
    inshop = ("dataset=inshop", "dataset.counts=null", f"paths.data={inshop_tree}")
    data = inshop if dataset == "inshop" else ()
    written = evaluate(run, *data, metric, "write.embeddings=true", "write.neighbors=true")
    folder = run / "evaluation" / "again"
    table = pq.read_table(folder / "embeddings.parquet")
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), embedding_size)
    checkpoint = run / "checkpoints" / "last.pt"
    assert recorded_origin(table.schema) == (str(run), "last.pt", checksum(checkpoint))
    main([f"embeddings={folder}/embeddings.parquet", metric, f"out={tmp_path}/out", "draw=false"])
    again = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert {f"test/{name}": value for name, value in again.items()} == written["metrics"]
    names = ["label", "class", "category", "num_relevant", "first_hit", "average_precision"]
    before, after = (
        pd.read_parquet(path / "queries.parquet") for path in (folder, tmp_path / "out")
    )
    pd.testing.assert_frame_equal(before[names], after[names])
    neighbors = pd.read_parquet(folder / "neighbors.parquet")
    first = neighbors[neighbors["rank"] == 1]
    hits = before["first_hit"].fillna(0) == 1
    assert first["relevant"].tolist() == hits.tolist()
    paths = table["path"].to_pylist()
    assert neighbors["neighbor_path"].tolist() == [paths[row] for row in neighbors["neighbor"]]


@pytest.mark.parametrize("setting", ["within", "level"])
def test_a_dataset_without_categories_is_one_line(setting: str, run: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate(run, f"evaluation.measure.{setting}=category")
    assert str(ended.value).startswith(
        f"error: evaluation.measure.{setting}=category needs the category of every sample, and "
        "896 of 896 samples have none"
    )


def test_transformed_embeddings_are_measured_and_drawn(run: Path) -> None:
    metrics = "metric=[recall,rho_spectrum]"
    plain = evaluate(run, metrics)["metrics"]
    truncated = "evaluation.measure.transform={_target_: evaluation.transforms.truncate.Truncate, "
    cut = evaluate(run, metrics, truncated + "dim: 4}", "draw=true")["metrics"]
    assert len(cut["test/rho_spectrum@0"]) == 4 < len(plain["test/rho_spectrum@0"])
    assert cut["test/recall@1"] != plain["test/recall@1"]
    components = "evaluation.measure.transform.num_components=4"
    assert len(evaluate(run, metrics, "evaluation=pca", components)["metrics"]) == len(cut)


def test_where_nothing_can_be_found_there_is_still_a_space(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = digits().drop_duplicates("label")
    table.to_csv(tmp_path / "one_each.csv", index=False)
    other = ("dataset=csv", f"dataset.path={tmp_path}/one_each.csv", "name=alone", "draw=true")
    main([f"run={run}", "trainer.workers=0", "metric=[recall]", *other])
    folder = run / "evaluation" / "alone"
    assert "no query has a relevant image" in caplog.text
    assert json.loads((folder / "metrics.json").read_text())["metrics"]["test/recall@1"] is None
    assert {path.stem for path in folder.glob("*.png")} == {"spectrum", "class_map"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("split=val", "name one run: run="),
        ("run=nowhere", "nowhere does not exist; run= names a run folder"),
        ("run=tests", "is no run folder: it has no config.yaml"),
        ("run={run}/..", "did you mean {run}?"),
        ("run={run} dataset=cubb", "Available options in 'dataset': cars196"),
        ("run={run} dataset=cub200 paths.data=/nowhere", "/nowhere/cub200/images"),
        ("run={run} split=vall", "split=vall: must be one of train, val, test"),
        ("run={run} split=null", "split=null: must be one of train, val, test"),
        ("run={run} +split=val", "only key=value can be overridden"),
        ("run={run} ~split", "only key=value can be overridden"),
        ("run={run} neighbours=3", "has the key 'neighbours', did you mean 'neighbors'?"),
        ("run={run} pictures.seeds=3", "did you mean 'seed'?"),
        ("run={run} evaluation.measure.distance=cosin", "did you mean 'cosine'?"),
        ("run={run} backbone.width=16", "last.pt does not fit architectures"),
        ("run={run} neighbors=-1", "neighbors=-1: must be a whole number >= 1"),
        ("run={run} draw=maybe", "draw=maybe: must be true or false"),
        ("run={run} trust=5", "trust=5: must be text, not empty or a list"),
        ("run={run} pictures=null", "pictures=null: must hold keys"),
        ("run={run} pictures.queries=0", "pictures.queries=0: must be a whole number >= 1"),
        ("run={run} pictures.map_images=x", "pictures.map_images=x: must be a whole number >= 1"),
        ("run={run} metric=[]", "metric=[]: choose at least one of conf/metric/"),
        ("run={run} evaluation.batch_size=null", "evaluation.batch_size=null: must be"),
        (
            "run={run} evaluation=pca evaluation.measure.transform.num_components=2000",
            "PCA of 896 embeddings of",
        ),
        ("run={run} evaluation.measure.within=label", "within=label: must be category or null"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: str, message: str, run: Path) -> None:
    given = [argument.format(run=run) for argument in arguments.split()]
    with pytest.raises(SystemExit) as ended:
        main([*given, "name=failed"])
    assert str(ended.value).startswith("error: ")
    assert message.format(run=run) in str(ended.value)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "has no checkpoints/last.pt"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged"),
        (lambda path: path.write_text("no checkpoint"), "is damaged"),
        (lambda path: torch.save({"weights": 1}, path), "is no checkpoint of a run"),
        (lambda path: torch.save({"a": Path("b")}, path), "is damaged"),
        (lambda path: torch.save([1], path), r"last\.pt is no checkpoint of a run, but a list"),
        (
            lambda path: (path.parents[1] / "config.yaml").write_text(""),
            r"config\.yaml is not what",
        ),
    ],
)
def test_no_checkpoint_is_one_line(
    spoil: Callable[[Path], object], message: str, run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "digits" / "group" / "seed0"))
    spoil(copy / "checkpoints" / "last.pt")
    with pytest.raises(SystemExit, match=message) as ended:
        main([f"run={copy}"])
    assert "\n" not in str(ended.value)


def test_without_arguments_it_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "run=<run folder or checkpoint>" in capsys.readouterr().out


def test_an_evaluation_of_other_data_than_the_run_says_so(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A user evaluated a run after its test images had changed, and was not told."""
    evaluate(run)
    assert "data" not in caplog.text
    copied = shutil.copytree(run, tmp_path / "run")
    recorded = pd.read_csv(copied / "table.csv.gz", dtype=str, na_filter=False)
    recorded.loc[recorded["split"] == "test", "label"] = "5"
    text = recorded.to_csv(index=False, lineterminator="\n").encode()
    (copied / "table.csv.gz").write_bytes(gzip.compress(text))
    content = json.loads((copied / "data.json").read_text())
    content["table"] = hashlib.sha256(text).hexdigest()
    (copied / "data.json").write_text(json.dumps(content))
    evaluate(copied)
    assert "the data are not those of" in caplog.text
    assert "label of 714 of 896 images" in caplog.text
    caplog.clear()
    evaluate(copied, "dataset.counts=null")
    assert "data" not in caplog.text, "other data were asked for"


def test_images_of_a_size_that_the_backbone_does_not_take_are_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user evaluated a vision transformer for 224 pixels with `transform=small`."""
    from architectures.timm import timm_model  # takes seconds

    transformer = timm_model("vit_tiny_patch16_224", pretrained=False)
    monkeypatch.setattr("scripts.evaluate.load_model", lambda *_: TrainedModel(transformer, {}))
    with pytest.raises(SystemExit) as ended:
        evaluate(run, "transform=small")
    assert "cannot embed images of 28x28 pixels" in str(ended.value.code)


def test_what_changes_between_two_evaluations_is_drawn(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user asks which queries a training turns right; here, the run is worse before."""
    before = pd.read_parquet(evaluated / "queries.parquet")
    right = before.index[before["first_hit"] == 1][:5]
    before.loc[right, "first_hit"] = 7
    before.loc[right, "average_precision"] /= 2
    before.to_parquet(tmp_path / "queries.parquet")
    out = tmp_path / "figures"
    names = ["--names", "frozen", "fine-tuned"]
    compare.main([str(tmp_path), str(evaluated), "--out", str(out), *names])
    expected = {f"{n}.{kind}" for n in ("rank_changes", "query_changes") for kind in ("pdf", "png")}
    assert {file.name for file in out.iterdir()} == expected
    capsys.readouterr()
    compare.main([str(evaluated), str(evaluated), "--out", str(tmp_path / "none")])
    assert "query_changes left out: no query changes" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"metrics\.json does not exist"):
        compare.main([str(evaluated), str(tmp_path), "--out", str(tmp_path / "none")])
