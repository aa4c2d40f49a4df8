"""`python -m scripts.threshold`: the files that it writes, its decisions, one line for errors."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from engine.embeddings.origin import Origin
from engine.load import load
from scripts.threshold import main
from tests.programs import run_command

FILES = ("threshold.json", "threshold.md", "roc.csv", "roc.png", "roc.pdf", "det.png", "det.pdf")
CLASSES, IMAGES = 30, 10


def write_embeddings(file: Path, seed: int = 0, copies: int = 0) -> np.ndarray:
    """Blobs of 30 classes; the last `copies` images are nearly those of the first."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    embeddings = rng.normal(size=(CLASSES, 16))[labels] + 0.8 * rng.normal(size=(len(labels), 16))
    if copies:
        embeddings[-copies:] = embeddings[:copies] + 1e-3
    flat = pa.array(embeddings.astype(np.float32).ravel())
    columns = {
        "path": [f"{number}.png" for number in range(len(labels))],
        "label": [f"class {label}" for label in labels],
        "embedding": pa.FixedSizeListArray.from_arrays(flat, 16),
    }
    pq.write_table(pa.table(columns), file)
    return embeddings


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    file = tmp_path / "products.parquet"
    write_embeddings(file)
    return file


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "threshold.json").read_text())
    return content


def similarities(vectors: np.ndarray) -> np.ndarray:
    points = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix: np.ndarray = points @ points.T
    return matrix


def test_a_file_of_embeddings_has_thresholds_and_says_why_none_is_suggested(
    embeddings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([f"embeddings={embeddings}", "bootstrap.resamples=50"])
    folder = embeddings.with_name("products_threshold")
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    content = content_of(folder)
    assert content["suggested"] is None
    assert (content["classes"], content["images"], content["resamples"]) == (30, 300, 50)
    assert content["negative_pairs"] + content["positive_pairs"] == 300 * 299 // 2
    matrix = similarities(write_embeddings(embeddings))
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    negatives = matrix[labels[:, None] != labels]
    for at in content["by_fmr"]:
        exceeding = (negatives > at["threshold"]["value"] + 1e-6).mean()
        assert at["fmr"] * 0.97 < exceeding <= at["fmr"]
    assert [at["fmr"] for at in content["by_fmr"]] == [0.1, 0.01, 0.001]
    assert content["too_few_pairs_for_fmr"] == [0.0001]
    said = capsys.readouterr().out
    assert "No threshold is suggested: there are no validation classes" in said
    assert "FMR 0.01% is left out: it needs 300,000 negative pairs." in said
    for row in ("| FMR 1% |", "| equal error rate |"):
        assert row in (folder / "threshold.md").read_text()


def test_half_of_the_classes_choose_and_the_other_half_tests(embeddings: Path) -> None:
    options = ["choose_on=half", "fmr=0.01", "bootstrap.resamples=50"]
    main([f"embeddings={embeddings}", *options])
    folder = embeddings.with_name("products_threshold")
    content, classes = content_of(folder), pd.read_csv(folder / "classes.csv")
    assert content["chosen_on"] == "FMR 1% of 15 other classes"
    assert content["classes"] == len(classes) == 15
    vectors = write_embeddings(embeddings)
    labels = np.repeat([f"class {label}" for label in range(CLASSES)], IMAGES)
    tested = np.isin(labels, classes["class"])
    for kept, expected in ((~tested, 0.01), (tested, content["suggested"]["fmr"]["value"])):
        matrix = similarities(vectors[kept])
        negatives = matrix[labels[kept][:, None] != labels[kept]]
        found = (negatives > content["suggested"]["threshold"]["value"] + 1e-6).mean()
        assert found == pytest.approx(expected, abs=2 / len(negatives) + 1e-4)
    assert classes["tmr"].is_monotonic_increasing


def test_the_same_command_writes_the_same_files(embeddings: Path, tmp_path: Path) -> None:
    for name in ("once", "again"):
        main([f"embeddings={embeddings}", f"out={tmp_path / name}", "bootstrap.resamples=20"])
    for file in FILES:
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_arrays_have_the_thresholds_of_the_columns(embeddings: Path, tmp_path: Path) -> None:
    """As the hook `export_embeddings` names them."""
    vectors = write_embeddings(embeddings).astype(np.float32)
    labels = np.repeat([f"class {label}" for label in range(CLASSES)], IMAGES)
    paths = np.array([f"{number}.png" for number in range(len(labels))])
    np.savez(tmp_path / "arrays.npz", embeddings=vectors, labels=labels, paths=paths)
    for file in (embeddings, tmp_path / "arrays.npz"):
        main([f"embeddings={file}", f"out={tmp_path / file.stem}", "bootstrap.resamples=5"])
    first, second = (content_of(tmp_path / name) for name in ("products", "arrays"))
    assert first.pop("of") != second.pop("of")
    assert first == second


def test_pairs_are_decided_by_a_threshold_that_is_given_or_of_an_earlier_command(
    embeddings: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("first,second,note\n0.png,1.png,a\n0.png,250.png,b\n7.png,7.png,c\n")
    matrix = similarities(write_embeddings(embeddings))
    expected = [matrix[0, 1], matrix[0, 250], 1.0]
    common = [f"embeddings={embeddings}", f"pairs={pairs}", "bootstrap.resamples=20"]
    main([*common, "threshold=0.5", f"out={tmp_path / 'given'}"])
    content = content_of(tmp_path / "given")
    assert content["suggested"]["threshold"] == {"value": 0.5, "interval": None}
    main([*common, f"threshold={tmp_path / 'given/threshold.json'}", f"out={tmp_path / 'earlier'}"])
    for name in ("given", "earlier"):
        decided = pd.read_csv(tmp_path / name / "pairs.csv")
        assert decided["note"].tolist() == ["a", "b", "c"]
        assert decided["similarity"].tolist() == pytest.approx(expected, abs=1e-6)
        assert decided["same"].tolist() == [value > 0.5 for value in expected]


def test_near_duplicates_are_listed_by_group_with_their_nearest(
    embeddings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collection = tmp_path / "collection.parquet"
    write_embeddings(collection, seed=1, copies=4)
    options = ["threshold=0.999", f"duplicates={collection}", "bootstrap.resamples=20"]
    main([f"embeddings={embeddings}", *options])
    rows = pd.read_csv(embeddings.with_name("products_threshold") / "duplicates.csv")
    assert rows["group"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert rows["path"].tolist() == [f"{n}.png" for m in range(4) for n in (m, 296 + m)]
    assert rows["nearest"].tolist() == [f"{n}.png" for m in range(4) for n in (296 + m, m)]
    assert (rows["similarity"] > 0.999).all()
    said = capsys.readouterr().out
    assert "Near duplicates: 8 of 300 images, in groups: 4." in said
    main([f"embeddings={embeddings}", "threshold=0.2", f"duplicates={collection}"])
    assert "The largest group has" in capsys.readouterr().out


def test_embeddings_of_two_checkpoints_are_not_compared(embeddings: Path, tmp_path: Path) -> None:
    collection = tmp_path / "collection.parquet"
    write_embeddings(collection)
    options = ["threshold=0.999", f"duplicates={collection}", "bootstrap.resamples=20"]
    for sha256, file in {"12": embeddings, "34": collection}.items():
        origin = Origin(f"runs/{file.stem}", "last.pt", sha256).metadata()
        pq.write_table(pq.read_table(file).replace_schema_metadata(origin), file)
    with pytest.raises(SystemExit) as ended:
        main([f"embeddings={embeddings}", *options])
    assert (
        f"{collection} has embeddings of last.pt of runs/collection, which cannot be compared with "
        "those of last.pt of runs/products"
    ) in str(ended.value)


def test_without_a_duplicate_the_list_is_empty(embeddings: Path) -> None:
    options = ["threshold=1", f"duplicates={embeddings}", "bootstrap.resamples=20"]
    main([f"embeddings={embeddings}", *options])
    rows = pd.read_csv(embeddings.with_name("products_threshold") / "duplicates.csv")
    assert rows.empty
    assert list(rows) == ["group", "size", "path", "nearest", "similarity"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name run=<run folder> or embeddings=<file>.parquet, one of them"),
        (["embeddings={file}", "run=x"], "one of them"),
        (["embeddings=nowhere.parquet"], "nowhere.parquet does not exist; it needs the columns"),
        (["embeddings={csv}"], "it has no column embedding or embeddings, only a, b; it needs the"),
        (["embeddings={file}", "fmr=0"], "fmr=0: must be a number > 0 and < 1"),
        (["embeddings={file}", "choose_on=test"], "choose_on=test: "),
        (["embeddings={file}", "threshold=2"], "threshold=2: "),
        (["embeddings={file}", "threshold=no.json"], "no.json is damaged"),
        (["embeddings={file}", "pairs=no.csv"], "pairs=no.csv: there is no such file or folder"),
        (["embeddings={file}", "pairs={csv}"], "there are no validation classes"),
        (["embeddings={file}", "threshold=0.5", "pairs={csv}"], "lacks the columns"),
        (["embeddings={file}", "choose_on=val"], "train with validation=classes"),
        (["embeddings={file}", "threshold=0.5", "duplicates={folder}"], "cannot embed images"),
        (["embeddings={file}", "colour=blue"], "colour"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_line(
    embeddings: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    (tmp_path / "some.csv").write_text("a,b\n1,2\n")
    places = {"file": embeddings, "csv": tmp_path / "some.csv", "folder": tmp_path}
    given = [option.format(**places) for option in options] or ["split=test"]
    with pytest.raises(SystemExit) as ended:
        main([*given, "bootstrap.resamples=5"])
    line = str(ended.value)
    assert line.startswith("error: ")
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize("labels", [["a"] * 4, ["a", "b", "c", "d"]])
def test_without_pairs_of_both_kinds_there_is_no_threshold(
    tmp_path: Path, labels: list[str]
) -> None:
    file = tmp_path / "few.parquet"
    columns = {"path": list("wxyz"), "label": labels, "embedding": [[1.0, 0.5]] * 4}
    pq.write_table(pa.table(columns), file)
    with pytest.raises(SystemExit, match="at least two classes, and two images of one of them"):
        main([f"embeddings={file}"])


def test_help_lists_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert re.search(r"(?s)run=<run folder.*choose_on: null", capsys.readouterr().out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run that validates on classes of its own."""
    runs = tmp_path_factory.mktemp("runs")
    small = ["dataset=omniglot_small", "metric=[recall]", "tracker.mode=disabled", "loss=triplet"]
    small += ["validation=classes", "trainer.iterations=2", "trainer.workers=0"]
    done = run_command("main.py", f"paths.runs={runs}", *small, "evaluation.select_on=val/recall@1")
    assert done.returncode == 0, done.stderr
    (folder,) = runs.glob("*/*/seed*")
    return folder


def test_a_run_suggests_a_threshold_on_its_validation_classes(run: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number % 3).integers(0, 255, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images / f"{number}.png")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("first,second\nimages/0.png,images/3.png\nimages/0.png,images/1.png\n")
    options = [f"pairs={pairs}", f"duplicates={images}", "bootstrap.resamples=50"]
    main([f"run={run}", "trainer.workers=0", *options])
    folder = run / "threshold" / "test_last"
    assert {path.name for path in folder.iterdir()} > {*FILES, "classes.csv", "duplicates.csv"}
    content = content_of(folder)
    assert re.fullmatch(r"FMR 0.1% of \d+ validation classes", content["chosen_on"])
    assert (content["classes"], content["images"]) == (106, 2120)
    threshold = content["suggested"]["threshold"]["value"]
    vectors = load(run, workers=0).embed([images / f"{number}.png" for number in (0, 3, 1)])
    decided = pd.read_csv(folder / "pairs.csv")
    unit = torch.nn.functional.normalize(vectors)
    assert decided["similarity"].tolist() == pytest.approx((unit[1:] @ unit[0]).tolist(), abs=1e-5)
    assert decided["same"].tolist() == (decided["similarity"] > threshold).tolist()
    groups = pd.read_csv(folder / "duplicates.csv")
    assert set(groups["path"]) == {str(images / f"{number}.png") for number in range(6)}
    assert groups["similarity"].min() > threshold


def test_validation_images_of_trained_or_tested_classes_choose_nothing(run: Path) -> None:
    with pytest.raises(SystemExit, match="there are no validation classes"):
        main([f"run={run}", "validation=samples", "choose_on=val", "trainer.workers=0"])


def test_a_file_with_splits_is_tested_and_validated_by_them(tmp_path: Path) -> None:
    """As `python -m scripts.embed` writes it for a dataset: roles and splits are columns."""
    file = tmp_path / "dataset.parquet"
    write_embeddings(file)
    table = pq.read_table(file)
    numbers = np.arange(len(table)) // IMAGES
    split = np.select([numbers < 5, numbers < 17], ["train", "val"], "test")
    for name, values in (("split", split), ("is_query", numbers % 2 == 0)):
        table = table.append_column(name, pa.array(values.tolist()))
    pq.write_table(table, file)
    main([f"embeddings={file}", "fmr=0.01", "bootstrap.resamples=20"])
    content = content_of(tmp_path / "dataset_threshold")
    assert content["of"] == "test images of dataset.parquet"
    assert content["chosen_on"] == "FMR 1% of 12 validation classes"
    assert (content["images"], content["classes"]) == (130, 13)
    queries = int((numbers[numbers >= 17] % 2 == 0).sum())
    assert content["positive_pairs"] == queries * (IMAGES - 1)
    assert content["negative_pairs"] == queries * (130 - IMAGES)
    overlapping = table.set_column(1, "label", pa.array(["a", "b"] * 150))
    pq.write_table(overlapping, file)
    with pytest.raises(SystemExit, match="there are no validation classes"):
        main([f"embeddings={file}", "choose_on=val"])


def test_images_without_a_label_have_no_threshold(embeddings: Path) -> None:
    table = pq.read_table(embeddings)
    labels = [None, "a"] * (len(table) // 2)
    pq.write_table(table.set_column(1, "label", pa.array(labels)), embeddings)
    with pytest.raises(SystemExit, match="150 images have no label"):
        main([f"embeddings={embeddings}"])
