"""The comparison of exported backbones: the files hold, and the page shows the committed table."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.export import BACKBONES, FORMATS, compare, summary

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "results" / "benchmarks" / "export_cpu.csv"
TOLERANCE = 1e-4


def check(rows: pd.DataFrame) -> None:
    exact = rows[rows["format"] != "onnx int8"]["largest_difference"].astype(float)
    assert (exact <= TOLERANCE).all()
    assert (rows["smallest_cosine"].astype(float) <= 1 + 1e-5).all()
    for _, of in rows.groupby("backbone"):
        assert of["format"].tolist() == list(FORMATS)
        sizes = of.set_index("format")["megabytes"].astype(float)
        assert sizes["onnx int8"] < 0.5 * sizes["onnx"]


@pytest.mark.parametrize(
    "name",
    [
        "convnet",
        *(pytest.param(n, marks=pytest.mark.extended) for n in BACKBONES if n != "convnet"),
    ],
)
def test_an_exported_backbone_computes_what_torch_does(name: str) -> None:
    check(pd.DataFrame(compare(name, rounds=1)))


def test_the_committed_table_holds_for_every_backbone() -> None:
    table = pd.read_csv(TABLE)
    assert set(table["backbone"]) == set(BACKBONES)
    check(table)


def test_the_page_shows_the_committed_table() -> None:
    assert summary(pd.read_csv(TABLE, dtype=str)) in (ROOT / "docs" / "export.md").read_text()
