"""Two evaluations side by side on the screen."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from evaluation.per_query import per_query, save
from scripts.compare import main


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 6
    labels[0] = 99
    noise = torch.randn(60, 6, generator=generator)
    paths = tmp_path / "before", tmp_path / "after"
    for path, scale in zip(paths, (3.0, 1.0), strict=True):
        path.mkdir()
        centers = torch.eye(6)[labels.clamp(max=5)] * 2
        save(per_query(centers + scale * noise, labels), path / "queries.parquet")
    return paths


def test_it_says_what_changed(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main([str(files[0]), str(files[1] / "queries.parquet")])  # a folder or a file
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split() for line in lines if line.split()[:1] == ["map"]]
    before, after, change, low, high = (float(cell) for cell in row[1:] if cell != "..")
    assert change == pytest.approx(after - before, abs=2e-4)
    assert 0 < low < change < high
    (counts,) = [line.split() for line in lines if "queries better" in line]
    assert int(counts[0]) + int(counts[3]) + int(counts[5]) == 59  # one has nothing to find
    assert int(counts[0]) > int(counts[3])
    gains = [float(line.split()[-1]) for line in lines[-10:]]  # the best five, the worst five
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]


@pytest.mark.parametrize("change", ["missing", "other labels"])
def test_a_mistake_is_one_line(files: tuple[Path, Path], change: str) -> None:
    if change == "missing":
        (files[1] / "queries.parquet").unlink()
    else:
        table = per_query(torch.randn(60, 3), torch.arange(60) % 7)
        save(table, files[1] / "queries.parquet")
    message = "does not exist" if change == "missing" else "not the same queries"
    with pytest.raises(SystemExit, match=message):
        main(list(map(str, files)))


def test_without_arguments_it_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "query by query" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["cut", "text", "a list of runs", "text for a number"])
def test_a_file_of_something_else_is_named(files: tuple[Path, Path], damage: str) -> None:
    """A user compares a file that a disk damaged, or another Parquet file."""
    file = files[1] / "queries.parquet"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-50])
    elif damage == "text":
        file.write_text("query,label")
    elif damage == "a list of runs":
        pd.DataFrame({"id": ["a"]}).to_parquet(file)
    else:
        pd.read_parquet(file).assign(first_hit="x").to_parquet(file)
    with pytest.raises(SystemExit, match=f"error: {file} is ") as ended:
        main([str(files[0]), str(files[1])])
    assert "\n" not in str(ended.value)
