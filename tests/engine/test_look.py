"""Which queries are shown, and what the pictures are told, on a set made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from datasets.digits import png_uri
from datasets.images import Images
from datasets.table import make_table
from datasets.transforms import Transform
from engine import inspection as looking
from engine.inspection import (
    InspectionData,
    answers,
    neighbors_of,
    recall_curve_of,
    write_inspection_report,
)
from evaluation.embed import Embedded
from evaluation.figures.neighbor_grid import Answer
from evaluation.per_query import per_query

LABELS = ["a", "a", "a", "b", "b", "b", "alone"]
PLACES = [0.0, 0.1, 0.3, 2.0, 9.0, 1.0, 4.0]  # on a line; the two best are a, the two worst b


def looked(is_query: object = True) -> InspectionData:
    """Image i is a grey patch of brightness 10 i."""
    paths = [png_uri(np.full((4, 4), 10 * i, dtype=np.uint8)) for i in range(len(LABELS))]
    table = make_table(paths, LABELS, "test", is_query=is_query, is_gallery=True)
    images = Images(table, Transform())
    embeddings = torch.tensor(PLACES)[:, None] * torch.tensor([[1.0, 0.0, 0.0]])
    labels = torch.from_numpy(images.labels)
    found = per_query(embeddings, labels, *images.roles, k=2, distance="euclidean")
    embedded = Embedded(embeddings, labels)
    return InspectionData(images, embedded, "euclidean", found, images.class_names)


def brightness(image: Image.Image) -> int:
    return int(np.asarray(image)[0, 0, 0])


def test_an_answer_shows_the_images_of_its_neighbours() -> None:
    this = looked()
    (answer,) = answers(this, this.queries[this.queries["query"] == 3], depth=2)
    assert brightness(answer.query) == 30
    assert [brightness(image) for image in answer.found] == [50, 20]
    assert list(answer.is_right) == [True, False]
    assert answer.lines == ["b", "AP 0.67"]
    assert answer.names == ["b", "a"]


def test_best_and_worst_are_of_different_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, list[Answer]] = {}
    monkeypatch.setattr(looking, "neighbor_grid", lambda drawn, _: shown.update(drawn))
    this = looked()
    neighbors_of(this, limit=2, columns=2, seed=0)
    scores = this.with_relevant.set_index("query")["average_precision"]
    best = [brightness(answer.query) // 10 for answer in shown["best"]]
    worst = [brightness(answer.query) // 10 for answer in shown["worst"]]
    for chosen, extreme in ((best, scores.max()), (worst, scores.min())):
        assert scores[chosen[0]] == extreme
        assert {LABELS[query] for query in chosen} == {"a", "b"}
        for query in chosen:
            own = scores[[i for i in scores.index if LABELS[i] == LABELS[query]]]
            assert scores[query] == (own.max() if chosen is best else own.min())
    assert len(shown["random"]) == 2


@pytest.mark.parametrize("asking", [True, [False, True, True, True, True, True, True]])
def test_queries_with_nothing_to_find_are_left_out(asking: object) -> None:
    this = looked(asking)
    assert "alone" not in {LABELS[query] for query in this.with_relevant["query"]}
    axes = recall_curve_of(this).axes[0]
    depths = np.asarray(axes.lines[0].get_xdata())
    assert depths.tolist() == [1, 2, 3, 4, 5, 6]
    assert f"{len(this.with_relevant)} queries" in axes.get_title(loc="left")


def test_a_query_outside_the_gallery_has_all_of_it_to_choose_from() -> None:
    this = looked()
    this.images.is_gallery[0] = False
    apart = this._replace(queries=this.queries[this.queries["query"] == 0])
    depths = np.asarray(recall_curve_of(apart).axes[0].lines[0].get_xdata())
    assert depths[-1] == 6, "six others, none of them itself"


def test_tables_are_about_answered_queries(tmp_path: Path) -> None:
    pictures = write_inspection_report(
        looked(), tmp_path, map_images=5, queries=1, hardest=1, seed=0
    )
    assert pictures.keys() == {"spectrum", "class_map", "recall_curve", "neighbors"}
    assert all(path.is_file() for path in pictures.values())
    classes = pd.read_csv(tmp_path / "classes.csv")
    assert sorted(classes["class"]) == ["a", "b"]
    assert (tmp_path / "hardest_classes.md").read_text().count("\n") == 2 + 1
