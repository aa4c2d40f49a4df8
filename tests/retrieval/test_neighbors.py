"""Neighbours of queries: their order, the query itself, and how they are shown."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from retrieval.build import build_index
from retrieval.exact import Exact
from retrieval.image_index import ImageIndex
from retrieval.neighbors import find_neighbors, with_known_labels
from retrieval.rows import InMemory, Rows
from retrieval.show import as_json, as_picture, as_table
from tests.retrieval.clusters import clustered, ranking

GALLERY = clustered(40, classes=4)
OTHERS = Rows(["q0.jpg", "q1.jpg"], ["c0", ""], clustered(2, seed=1).vectors)


@pytest.fixture(scope="module")
def index() -> ImageIndex:
    return build_index(InMemory(GALLERY), Exact())


def test_the_rows_are_the_ranking(index: ImageIndex) -> None:
    table = find_neighbors(index, OTHERS, 3)
    order = ranking(OTHERS.vectors, GALLERY.vectors)[:, :3]
    assert table["query"].tolist() == ["q0.jpg"] * 3 + ["q1.jpg"] * 3
    assert table["query_label"].tolist() == ["c0"] * 3 + [""] * 3
    assert table["rank"].tolist() == [1, 2, 3] * 2
    assert table["path"].tolist() == [GALLERY.paths[row] for row in order.ravel()]
    assert table["label"].tolist() == [GALLERY.labels[row] for row in order.ravel()]
    for row in table.itertuples():
        expected = OTHERS.vectors[int(row.query[1])] @ GALLERY.vectors[int(row.path[:4])]
        assert row.similarity == pytest.approx(expected, abs=1e-6)


def test_a_query_is_its_own_neighbour_only_on_request(index: ImageIndex) -> None:
    queries = Rows(*(column[5:7] for column in GALLERY))
    table = find_neighbors(index, queries, 4)
    order = ranking(queries.vectors, GALLERY.vectors)
    expected = [[row for row in order[q] if row != 5 + q][:4] for q in range(2)]
    assert table["path"].tolist() == [GALLERY.paths[row] for row in np.ravel(expected)]
    assert table["rank"].tolist() == [1, 2, 3, 4] * 2
    with_self = find_neighbors(index, queries, 4, include_self=True)
    assert with_self["path"].tolist() == [GALLERY.paths[row] for row in order[:, :4].ravel()]
    assert with_self.loc[0, "similarity"] == pytest.approx(1)


def test_a_query_of_the_index_has_its_label_there(index: ImageIndex) -> None:
    queries = Rows(["0005.jpg", "q.jpg", "0006.jpg"], ["", "", "mine"], GALLERY.vectors[5:8])
    assert with_known_labels(queries, index).labels == [GALLERY.labels[5], "", "mine"]


def test_the_least_similarity_cuts_the_list(index: ImageIndex) -> None:
    table = find_neighbors(index, OTHERS, 40)
    value = float(table["similarity"].iloc[6])
    cut = find_neighbors(index, OTHERS, 40, min_similarity=value)
    assert cut.equals(table[table["similarity"] >= value].reset_index(drop=True))
    assert len(find_neighbors(index, OTHERS, 40, min_similarity=1.0)) == 0


def test_a_table_and_json_have_every_query(index: ImageIndex) -> None:
    table = find_neighbors(index, OTHERS, 2)
    table = table[table["query"] == "q0.jpg"]
    content = json.loads(as_json(OTHERS.paths, table))
    assert [entry["query"] for entry in content] == ["q0.jpg", "q1.jpg"]
    assert content[1]["neighbors"] == []
    assert [found["path"] for found in content[0]["neighbors"]] == table["path"].tolist()
    assert content[0]["neighbors"][0]["similarity"] == pytest.approx(table["similarity"].iloc[0])
    console = Console(width=200, file=StringIO(), record=True)
    console.print(as_table(OTHERS.paths, table))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[1][:3] == ["q0.jpg", "1", f"{table['similarity'].iloc[0]:.4f}"]
    assert lines[2][0] == "2"
    assert lines[3] == ["q1.jpg", "no", "neighbour"]


def test_a_picture_marks_labels_that_are_known(tmp_path: Path) -> None:
    rows = Rows([str(tmp_path / name) for name in GALLERY.paths], GALLERY.labels, GALLERY.vectors)
    queries = Rows([str(tmp_path / name) for name in OTHERS.paths], OTHERS.labels, OTHERS.vectors)
    for path in [*rows.paths, *queries.paths]:
        Image.new("RGB", (8, 8)).save(path)
    table = find_neighbors(build_index(InMemory(rows), Exact()), queries, 3)
    figure = as_picture(queries.paths, table)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 8
    known = [title[0] for title in titles[1:4]]
    assert known == ["✓" if label == "c0" else "✗" for label in table["label"][:3]]
    assert not any(title[0] in "✓✗" for title in titles[4:])
    assert titles[1].split("\n")[0].endswith(f"{table['similarity'].iloc[0]:.3f}")
