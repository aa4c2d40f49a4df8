"""Pages for researchers, engineers and authors: their commands, in order, in an empty folder."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.conftest import data_folder
from tests.pages import commands, write_files
from tests.programs import ROOT, Server
from tests.run_server import Runs, server, words  # noqa: F401 - a fixture

pytestmark = pytest.mark.extended
HERE = "/path/to/this/repository"  # stands for it on the pages
INSTALL = "pip install "  # the tests have what these lines install


def follow(page: str, runs: Runs, folder: Path) -> dict[str, str]:
    """Write the files of a page into the folder, run its commands there; what each printed."""
    file = ROOT / "docs" / page
    write_files(file, folder)
    variables: dict[str, str] = {}
    said = {}
    for line in commands(file):
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            (variables[name],) = words(value.replace(HERE, str(ROOT)), folder, variables)
        elif not line.startswith(INSTALL):
            ended = runs.command(line, folder, **variables)
            assert ended.code == 0, f"{line}\n{ended.said}"
            assert "Traceback" not in ended.said, f"{line}\n{ended.said}"
            said[re.sub(r"\s+", " ", line)] = ended.said
    return said


def output(said: dict[str, str], *parts: str) -> str:
    """What the one command printed that has all these parts."""
    (found,) = (text for line, text in said.items() if all(part in line for part in parts))
    return found


def evaluations(run: Path, metric: str) -> list[float]:
    """The values of a metric, in the order of the evaluations."""
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record[metric] for record in records if metric in record]


@pytest.fixture
def runs(server: Server, tmp_path: Path) -> Runs:  # noqa: F811
    return Runs(server, tmp_path / "none", tmp_path / "log")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def test_a_researcher_trains_compares_and_searches(runs: Runs, folder: Path) -> None:
    said = follow("for_researchers.md", runs, folder)
    finished = sorted(folder.glob("runs/omniglot_small/*/seed?/summary.json"))
    assert len(finished) == 6  # two losses and the winner of the search, two seeds each
    for summary in finished:
        first, last = evaluations(summary.parent, "val/recall@1")
        assert last > first
    assert "1 skipped, 3 finished" in output(said, "-m dataset=", "loss=triplet,proxy_anchor")
    assert "4 finished" in output(said, "scripts.status")
    table = (folder / "table.md").read_text()
    rows = re.findall(r"^\| (\S+).*?\| \D*([\d.]+)\D* ± ", table, re.MULTILINE)
    names = sorted(name for name, _ in rows)
    assert names == ["proxy_anchor-convnet", *2 * ["triplet-distance-convnet"]]
    assert all(50 < float(recall) < 100 for _, recall in rows)
    assert table.count("main.py -m dataset=omniglot_small") == 3
    assert "queries" in output(said, "scripts.compare")
    assert {file.name for file in (folder / "figures").glob("*.png")} == {
        "query_changes.png",
        "rank_changes.png",
    }


def test_an_author_makes_table_and_figures(runs: Runs, folder: Path) -> None:
    said = follow("for_authors.md", runs, folder)
    assert "table.tex" in output(said, "scripts.aggregate", "--format latex")
    latex = (folder / "table.tex").read_text()
    (triplet,) = re.findall(r"^ *Triplet.*$", latex, re.MULTILINE)
    ours, theirs, difference = (
        float(re.findall(r"-?\d+\.\d", cell)[0]) for cell in triplet.split(" & ")[1:4]
    )
    assert theirs == 66
    assert difference == pytest.approx(ours - theirs, abs=0.11)
    assert latex.count("\n% omniglot_small/") + latex.startswith("% omniglot_small/") == 3
    numbers = pd.read_csv(folder / "numbers.csv", comment="#")
    assert len(numbers) == 3 * 2  # methods x metrics
    pictures = {file.stem for file in (folder / "figures").glob("*.pdf")}
    assert {"curves_recall@1_omniglot_small", "ranking_omniglot_small"} <= pictures
    assert "recall_rho_omniglot_small" in pictures
    assert (folder / "report" / "index.html").stat().st_size > 10_000


def grocery(_: Path) -> dict[str, list[Path]]:
    """Class -> photographs of the Grocery Store dataset, at least 13 of each of 24 classes."""
    root = Path(data_folder("grocery_store/dataset/classes.csv")) / "grocery_store" / "dataset"
    classes: dict[str, list[Path]] = {}
    for split in ("train", "test"):
        for file in sorted((root / split).rglob("*.jpg")):
            classes.setdefault(file.parent.name, []).append(file)
    return {name: files for name, files in sorted(classes.items()) if len(files) > 12}


def characters(folder: Path) -> dict[str, list[Path]]:
    """Class -> drawings of the Omniglot characters that the repository holds."""
    with zipfile.ZipFile(ROOT / "datasets/omniglot/images_background_small1.zip") as archive:
        archive.extractall(folder)
    classes: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.png")):
        classes.setdefault(f"{file.parent.parent.name} {file.parent.name}", []).append(file)
    return classes


def lay_out(classes: dict[str, list[Path]], folder: Path) -> tuple[str, set[str]]:
    """photos/ and query.jpg as the page expects them: the class of the query, a pair of copies."""
    chosen = dict(list(classes.items())[:24])
    for name, files in chosen.items():
        (folder / "photos" / name).mkdir(parents=True)
        for number, file in enumerate(files[:12]):
            Image.open(file).convert("RGB").save(folder / "photos" / name / f"{number:02}.jpg")
    first, second = list(chosen)[:2]
    Image.open(chosen[first][12]).convert("RGB").save(folder / "query.jpg")
    original = folder / "photos" / second / "00.jpg"
    Image.open(original).save(original.with_name("copy.jpg"), quality=85)
    return first, {str(original), str(original.with_name("copy.jpg"))}


@pytest.mark.parametrize("photos", [grocery, characters])
def test_an_engineer_searches_and_deploys(
    photos: Callable[[Path], dict[str, list[Path]]], runs: Runs, folder: Path, tmp_path: Path
) -> None:
    wanted, copies = lay_out(photos(tmp_path / "source"), folder)
    said = follow("for_engineers.md", runs, folder)
    assert len(pd.read_parquet(folder / "photos.parquet")) == 24 * 12 + 1
    (answer,) = json.loads(output(said, "scripts.search", "format=json"))
    assert wanted in [neighbor["label"] for neighbor in answer["neighbors"]]
    deployed = [line.split("  ") for line in output(said, "nearest.py").splitlines()]
    for (similarity, path), neighbor in zip(deployed, answer["neighbors"], strict=True):
        assert path == neighbor["path"]
        assert float(similarity) == pytest.approx(neighbor["similarity"], abs=2e-4)
    with Image.open(folder / "found.png") as picture:
        assert picture.width > picture.height
    groups = pd.read_csv(folder / "duplicates" / "duplicates.csv").groupby("group").path
    assert any(copies <= set(paths) for _, paths in groups)
    parity = json.loads((folder / "deploy" / "parity.json").read_text())
    assert parity
