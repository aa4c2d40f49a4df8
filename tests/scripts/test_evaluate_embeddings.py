"""Embeddings of any origin, evaluated from files, against NumPy and other libraries."""

import json
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
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from scripts import compare
from scripts.evaluate import main

NUM, DIM, CLASSES = 120, 6, 7
METRICS = "metric=[recall,map_at_r,r_precision,mrr,nmi]"


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, NUM)
    embeddings = rng.normal(size=(CLASSES, DIM))[labels] + rng.normal(size=(NUM, DIM))
    is_query = np.arange(NUM) % 4 == 0
    return {
        "embedding": embeddings.astype(np.float32),
        "label": labels,
        "is_query": is_query,
        "is_gallery": ~is_query,
        "ignore_group": labels * 3 + rng.integers(0, 3, NUM),
        "category": np.where(labels < 3, "low", "high"),
    }


def evaluate(*arguments: str) -> dict[str, Any]:
    """The numbers of an evaluation, without pictures unless asked for."""
    main(["draw=false", *arguments])
    (out,) = (argument[4:] for argument in arguments if argument.startswith("out="))
    content: dict[str, Any] = json.loads((Path(out) / "metrics.json").read_text())
    return content["metrics"]


def write_parquet(file: Path, data: dict[str, Any], fixed: bool = True) -> Path:
    rows = data["embedding"]
    columns = {name: pa.array(values) for name, values in data.items() if name != "embedding"}
    values = pa.array(rows.reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(values, rows.shape[1])
    columns["embedding"] = lists if fixed else pa.array(rows.tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table(columns), file, row_group_size=50)
    return file


def recall_and_map_at_r(data: dict[str, np.ndarray], ignoring: bool) -> tuple[float, float]:
    """Recall@1 and MAP@R in NumPy: a stable sort of all cosines of each query."""
    x = data["embedding"].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    labels, groups = data["label"], data["ignore_group"]
    recalls, precisions = [], []
    for q in np.flatnonzero(data["is_query"]):
        kept = data["is_gallery"] & (np.arange(NUM) != q)
        if ignoring:
            kept &= groups != groups[q]
        items = np.flatnonzero(kept)
        relevant = (labels[items] == labels[q])[np.argsort(-(x[items] @ x[q]))]
        r = relevant.sum()
        if r:
            recalls.append(relevant[0])
            hits = relevant[:r]
            precisions.append((hits * hits.cumsum() / np.arange(1, r + 1)).sum() / r)
    return float(np.mean(recalls)), float(np.mean(precisions))


def test_recall_and_map_at_r_are_those_of_pytorch_metric_learning(
    data: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Queries and gallery are different sets; faiss searches unit vectors there."""
    groups = data.pop("ignore_group")
    file = write_parquet(tmp_path / "mine.parquet", data)
    found = evaluate(f"embeddings={file}", METRICS, f"out={tmp_path}/out")
    x = torch.nn.functional.normalize(torch.from_numpy(data["embedding"]))
    labels, is_query = torch.from_numpy(data["label"]), torch.from_numpy(data["is_query"])
    names = ("precision_at_1", "mean_average_precision_at_r", "r_precision", "mean_reciprocal_rank")
    theirs = AccuracyCalculator(include=names, device=torch.device("cpu")).get_accuracy(
        x[is_query], labels[is_query], x[~is_query], labels[~is_query], False
    )
    ours = [found[name] for name in ("recall@1", "map@r", "r_precision", "mrr")]
    assert ours == pytest.approx([theirs[name] for name in names])
    assert (found["num_queries"], found["num_queries_excluded"]) == (30, 0)
    expected = recall_and_map_at_r({**data, "ignore_group": groups}, False)
    assert (found["recall@1"], found["map@r"]) == pytest.approx(expected)


@pytest.mark.parametrize("precision", [np.float16, np.float32, np.float64, np.dtype(">f4")])
def test_every_form_of_the_same_data_gives_the_same_numbers(
    data: dict[str, np.ndarray], tmp_path: Path, precision: type
) -> None:
    """Columns in one Parquet or npz file, or files of their own; text or numbers as labels."""
    data["embedding"] = data["embedding"].astype(np.float16).astype(precision)
    names = np.array([f"class {label}" for label in data["label"]])
    rows = pd.DataFrame({name: values for name, values in data.items() if name != "embedding"})
    rows.assign(is_query=rows.is_query.astype(int)).to_csv(tmp_path / "rows.csv", index=False)
    for name, values in data.items():
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "names.npy", names)
    np.savez(tmp_path / "all.npz", **{**data, "labels": names})
    forms = {
        "csv": [f"embeddings={tmp_path}/embedding.npy", f"labels={tmp_path}/rows.csv"],
        "npz": [f"embeddings={tmp_path}/all.npz", "labels=labels"],
        "npy": [
            f"embeddings={tmp_path}/embedding.npy",
            f"labels={tmp_path}/names.npy",
            f"is_query={tmp_path}/is_query.npy",
            f"is_gallery={tmp_path}/rows.csv",
            f"ignore_group={tmp_path}/rows.csv:ignore_group",
        ],
    }
    if precision != np.dtype(">f4"):
        parquet = write_parquet(tmp_path / "all.parquet", data)
        forms["parquet"] = [f"embeddings={parquet}"]
    if precision is np.float32:
        lists = write_parquet(tmp_path / "lists.parquet", data, fixed=False)
        forms["lists"] = [f"embeddings={lists}", "labels=label"]
    numbers = {
        name: evaluate(*form, METRICS, f"out={tmp_path}/{name}") for name, form in forms.items()
    }
    assert all(found == numbers["npz"] for found in numbers.values())
    expected = recall_and_map_at_r(data, True)
    assert (numbers["npz"]["recall@1"], numbers["npz"]["map@r"]) == pytest.approx(expected)
    assert expected != recall_and_map_at_r(data, False)


def test_any_array_is_named_after_a_colon(data: dict[str, np.ndarray], tmp_path: Path) -> None:
    one_hot = np.eye(CLASSES)[data["label"]]
    np.savez(tmp_path / "a.npz", features=data["embedding"], one_hot=one_hot, y=data["label"])
    file = f"embeddings={tmp_path}/a.npz"
    found = evaluate(f"{file}:features", "labels=y", "metric=[recall]", f"out={tmp_path}/out")
    assert found["num_queries"] == NUM
    assert found["recall@1"] < 1
    best = evaluate(f"{file}:one_hot", "labels=y", "metric=[recall]", f"out={tmp_path}/best")
    assert best["recall@1"] == 1
    with pytest.raises(SystemExit, match="no column embedding or embeddings, only features, one_"):
        main([file, "labels=y"])


@pytest.mark.parametrize("swapped", [False, True])
def test_files_whose_rows_are_other_images_are_told(
    data: dict[str, np.ndarray],
    tmp_path: Path,
    swapped: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths = np.array([f"/elsewhere/{row}.png" for row in range(NUM)])
    file = write_parquet(tmp_path / "mine.parquet", {**data, "path": paths})
    rows = pd.DataFrame({"path": [f"{row}.png" for row in range(NUM)], "label": data["label"]})
    if swapped:
        rows = rows[::-1]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    evaluate(
        f"embeddings={file}", f"labels={tmp_path}/rows.csv", "metric=[recall]", f"out={tmp_path}/o"
    )
    assert ("row 0 (from 0) is /elsewhere/0.png in" in caplog.text) == swapped


def test_a_row_without_an_ignore_group_is_alone(
    data: dict[str, np.ndarray], tmp_path: Path
) -> None:
    groups = pd.Series(data["ignore_group"].astype(str)).mask(data["label"] == 0, "")
    data["ignore_group"] = groups.to_numpy(object)
    file = write_parquet(tmp_path / "mine.parquet", data)
    found = evaluate(f"embeddings={file}", METRICS, f"out={tmp_path}/out")
    alone = [f"alone {row}" if group == "" else group for row, group in enumerate(groups)]
    data["ignore_group"] = np.array(alone)
    assert found["map@r"] == pytest.approx(recall_and_map_at_r(data, True)[1])


def test_settings_of_the_evaluation_apply(data: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Whitened principal components are those of scikit-learn, nearest by Euclidean distance."""
    del data["ignore_group"]
    file = write_parquet(tmp_path / "mine.parquet", data)
    transform = "evaluation.measure.transform"
    found = evaluate(
        *(f"embeddings={file}", f"out={tmp_path}/out", "metric=[recall]", "evaluation=pca"),
        *(f"{transform}.num_components=3", f"{transform}.whiten=true"),
        *(f"{transform}.standardize=false", f"{transform}.normalize=false"),
        "evaluation.measure.distance=euclidean",
    )
    x = PCA(3, whiten=True).fit_transform(data["embedding"].astype(np.float64))
    query, gallery = np.flatnonzero(data["is_query"]), np.flatnonzero(data["is_gallery"])
    nearest = NearestNeighbors(n_neighbors=1).fit(x[gallery]).kneighbors(x[query])[1][:, 0]
    recall = (data["label"][gallery[nearest]] == data["label"][query]).mean()
    assert found["recall@1"] == pytest.approx(recall)
    within = evaluate(
        *(f"embeddings={file}", f"out={tmp_path}/within", "metric=[recall]"),
        *("evaluation.measure.within=category", "evaluation.measure.averages.by_category=true"),
    )
    kinds = [within[f"recall@1/{kind}"] for kind in ("low", "high")]
    assert within["recall@1"] == pytest.approx(np.mean(kinds))


PICTURES = {"recall_curve", "spectrum", "class_map"}


def test_files_without_images(data: dict[str, np.ndarray], tmp_path: Path) -> None:
    """There is no picture of neighbours."""
    write_parquet(tmp_path / "mine.parquet", data)
    main([f"embeddings={tmp_path}/mine.parquet", "metric=[recall]", "neighbors=3"])
    folder = tmp_path / "evaluation" / "mine"
    assert {path.stem for path in folder.glob("*.png")} == PICTURES
    content = json.loads((folder / "metrics.json").read_text())
    assert (content["shape"], content["overrides"]) == (
        [NUM, DIM],
        ["metric=[recall]", "neighbors=3"],
    )
    queries = pd.read_parquet(folder / "queries.parquet")
    assert len(queries) == 30
    groups = data["ignore_group"]
    for row in queries.itertuples():
        assert len(row.neighbors) == 3
        assert all(groups[item] != groups[row.query] for item in row.neighbors)
    assert not (folder / "embeddings.parquet").exists()


@pytest.fixture
def with_images(data: dict[str, np.ndarray], tmp_path: Path) -> Path:
    """A file whose image files are beside it."""
    (tmp_path / "images").mkdir()
    for row in range(NUM):
        Image.new("RGB", (8, 8), (2 * row, 0, 0)).save(tmp_path / "images" / f"{row}.png")
    paths = np.array([f"images/{row}.png" for row in range(NUM)])
    return write_parquet(tmp_path / "mine.parquet", {**data, "path": paths})


def test_two_evaluations_of_embeddings_are_compared(
    with_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = "evaluation.measure.transform={_target_: evaluation.transforms.truncate.Truncate, dim: 2}"
    for name, more in {"before": [cut], "after": []}.items():
        evaluate(f"embeddings={with_images}", "metric=[recall]", f"out={tmp_path}/{name}", *more)
    compare.main([f"{tmp_path}/before", f"{tmp_path}/after", f"--out={tmp_path}/figures"])
    assert "recall@1" in capsys.readouterr().out
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {"rank_changes", "query_changes"}


def test_images_and_tables_of_neighbors_and_embeddings(
    data: dict[str, np.ndarray], with_images: Path, tmp_path: Path
) -> None:
    """Relative paths are beside the file of embeddings; what is written is evaluated alike."""
    shown = ("pictures.queries=1", "name=shown", "write.neighbors=true", "write.embeddings=true")
    main([f"embeddings={with_images}", "metric=[recall]", "neighbors=3", *shown])
    folder = tmp_path / "evaluation" / "shown"
    assert {path.stem for path in folder.glob("*.png")} == {*PICTURES, "neighbors"}
    neighbors = pd.read_parquet(folder / "neighbors.parquet")
    assert len(neighbors) == 90
    assert neighbors["rank"].tolist() == [1, 2, 3] * 30
    x = data["embedding"].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    cosine = (x[neighbors["query"]] * x[neighbors["neighbor"]]).sum(axis=1)
    assert neighbors["similarity"].to_numpy() == pytest.approx(cosine, abs=1e-6)
    same = data["label"][neighbors["query"]] == data["label"][neighbors["neighbor"]]
    assert (neighbors["relevant"] == same).all()
    first = neighbors.iloc[0]
    assert first["query_path"] == str(tmp_path / "images" / f"{first['query']}.png")
    assert first["neighbor_path"] == str(tmp_path / "images" / f"{first['neighbor']}.png")

    again = evaluate(
        f"embeddings={folder}/embeddings.parquet", "metric=[recall]", f"out={tmp_path}/again"
    )
    assert again == json.loads((folder / "metrics.json").read_text())["metrics"]


def test_images_that_are_elsewhere_are_not_shown(
    data: dict[str, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data["path"] = np.array([f"gone/{row}.png" for row in range(NUM)])
    write_parquet(tmp_path / "mine.parquet", data)
    main([f"embeddings={tmp_path}/mine.parquet", "metric=[recall]"])
    assert "the picture of neighbours is left out: 120 of 120 images do not exist" in caplog.text
    assert not (tmp_path / "evaluation" / "mine" / "neighbors.png").exists()


Change = Callable[[dict[str, Any]], object]


def not_finite(data: dict[str, Any]) -> None:
    data["embedding"][[4, 7], 2] = np.nan, np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (not_finite, "2 of 120 embeddings are not finite, the first in row 4 (from 0)"),
        (lambda d: d.update(embedding=d["embedding"][:, 0]), "float32 of shape (120,)"),
        (lambda d: d.update(embedding=d["embedding"][:0]), "float32 of shape (0, 6)"),
        (lambda d: d.update(embedding=d["embedding"][:1]), "one embedding has no neighbours"),
        (
            lambda d: d.update(embedding=d["embedding"].astype(str)),
            "of shape (N, D) expected, got <U",
        ),
        (
            lambda d: d.update(label=d["label"][:99]),
            "120 embeddings expected, and the column label",
        ),
        (lambda d: d.update(label=np.eye(7)[d["label"]]), "has the shape (120, 7)"),
        (lambda d: d.update(label=np.where(d["label"] == 3, np.nan, 1.5)), "has no value in row"),
        (lambda d: d.pop("label"), "labels: {file} has no column label; labels=<file or column>"),
        (lambda d: d.update(is_query=d["is_query"] * 2), "has '2' as is_query"),
        (lambda d: d.update(is_gallery=d["is_query"] & False), "is false in every row"),
        (lambda d: d.update(label=np.array([{}] * NUM)), "cannot be read as .npz: Object arrays"),
    ],
)
def test_wrong_data_are_one_line(
    data: dict[str, Any], tmp_path: Path, change: Change, message: str
) -> None:
    change(data)
    file = tmp_path / "mine.npz"
    np.savez(file, **data)
    with pytest.raises(SystemExit) as ended:
        main([f"embeddings={file}", "metric=[recall]"])
    line = str(ended.value)
    assert line.startswith("error: ")
    assert message.format(file=file) in line
    assert "\n" not in line
    assert not (tmp_path / "evaluation").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("embeddings={tmp}/none.npy", "none.npy does not exist"),
        ("embeddings={tmp}/mine.pt", "the name of the file must end in .npy, .npz, .parquet, .csv"),
        ("embeddings={tmp}/text.npy", "text.npy cannot be read as .npy: "),
        ("embeddings={tmp}/text.npz", "text.npz cannot be read as .npz: "),
        ("embeddings={tmp}/text.parquet", "text.parquet cannot be read as .parquet: "),
        ("embeddings={tmp}/ragged.parquet", "needs lists of one length, and has 1 to 2 values"),
        ("embeddings={tmp}/gaps.parquet", "the column embedding has lists without a value"),
        ("embeddings={mine} labels=kind", "labels=kind: there is no such file, and no such column"),
        ("embeddings={mine} labels={tmp}/two.csv", "it has no column label or labels, only a, b"),
        ("embeddings={mine} labels={tmp}/two.csv:c", "it has no column c, only a, b"),
        ("embeddings={mine} labels={tmp}/two.csv:a", "120 embeddings expected, and the column a"),
        ("embeddings={mine} run=somewhere", "run=somewhere: only a run has run"),
        ("embeddings={mine} split=val", "split=val: only a run has split"),
        ("embeddings={mine} loss=triplet", "has the key 'loss'"),
        ("embeddings={mine} neighbours=3", "has the key 'neighbours', did you mean 'neighbors'?"),
        ("embeddings={mine} neighbors=0", "neighbors=0: must be a whole number >= 1"),
        ("embeddings={mine} write.embeddings=5", "write.embeddings=5: must be true or false"),
        ("embeddings={mine} write.neighbor=true", "did you mean 'neighbors'?"),
        ("embeddings={mine} metric=[recal]", "did you mean 'recall'?"),
        ("embeddings={mine} evaluation.measure.distance=cosin", "did you mean 'cosine'?"),
        ("embeddings={mine} name=a/b", "name='a/b': must be the name of one folder"),
        ("embeddings={mine} out=", 'out="": must be text, not empty or null'),
        ("embeddings={mine} out={mine}", "cannot write {mine}"),
        ("embeddings={mine} trainer.accelerator=gpus", "did you mean 'gpu'?"),
    ],
)
def test_wrong_arguments_are_one_line(
    data: dict[str, np.ndarray], tmp_path: Path, arguments: str, message: str
) -> None:
    mine = write_parquet(tmp_path / "mine.parquet", data)
    for kind in ("npy", "npz", "parquet"):
        (tmp_path / f"text.{kind}").write_text("no array")
    lists = {"ragged": [[1.0], [1.0, 2.0]], "gaps": [[1.0], None]}
    for name, rows in lists.items():
        pq.write_table(
            pa.table({"embedding": rows, "label": ["a", "b"]}), tmp_path / f"{name}.parquet"
        )
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    names = {"mine": mine, "tmp": tmp_path}
    with pytest.raises(SystemExit) as ended:
        main([*arguments.format(**names).split(), "draw=false"])
    line = str(ended.value)
    assert line.startswith("error: ")
    assert message.format(**names) in line
    assert "\n" not in line
