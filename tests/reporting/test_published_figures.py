"""The files of results/published: whole rows, known sources, and one protocol per column."""

import csv
import math
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml

from core.errors import UserError
from engine.config.run_name import CONF
from reporting import published
from reporting.run import Run
from reporting.table import Cell, Column, Table

SOURCES = published.sources()
HEADER = "run method dataset setting backbone dimensions metric mean spread seen".split()  # noqa: SIM905
OTHER_DATA = {  # datasets that conf/dataset/ does not have
    *("inaturalist2018", "market1501", "dukemtmc", "msmt17", "veri776"),
    *("cub200_noise20", "cars196_noise20"),
}
DISTANCES = ("dists@", "rho_spectrum@")  # any other metric is a rate in percent
ORIGINALS = {  # (quoting source, run) -> (the quoted source, run)
    ("idml2023_quoted", "drml"): ("drml2021", "drml_pa"),
    ("idml2023_quoted", "nir"): ("nir2022", "proxy_based_nir"),
    ("pfml2025_quoted", "hier"): ("hier2023", "hier"),
    ("pfml2025_quoted", "hist"): ("hist2022", "hist"),
}
Row = dict[str, str]


@cache
def rows(source: str) -> list[Row]:
    with (published.FOLDER / f"{source}.csv").open() as file:
        return list(csv.DictReader(file))


@cache
def entries() -> dict[str, dict[str, object]]:
    return dict(yaml.safe_load((published.FOLDER / "sources.yaml").read_text()))


def is_mixed(source: str, row: Row) -> bool:
    return row["setting"] in entries()[source].get("mixed", [])  # type: ignore[operator]


def model_and_metric(row: Row) -> tuple[str, ...]:
    return row["dataset"], row["backbone"], row["dimensions"], row["metric"]


@pytest.mark.parametrize("source", SOURCES)
def test_every_row_has_a_protocol_and_says_where_it_was_read(source: str) -> None:
    known = {file.stem for file in (CONF / "dataset").glob("*.yaml")} | OTHER_DATA
    for row in rows(source):
        assert list(row) == HEADER
        assert re.fullmatch(r"[a-z0-9_]+", row["run"]), row
        assert row["method"], row
        assert row["setting"], row
        assert row["seen"], row
        assert row["dataset"] in known, row
        assert re.fullmatch(r"\d*", row["dimensions"]), row
        assert re.fullmatch(r"(train|val|test)/[a-z0-9_@-]+", row["metric"]), row
        mean, spread = float(row["mean"]), float(row["spread"] or 0)
        assert math.isfinite(mean), row
        assert 0 <= spread < 10, row
        assert DISTANCES[0] in row["metric"] or DISTANCES[1] in row["metric"] or 0 < mean <= 100


def test_every_source_has_a_title_and_every_title_a_source() -> None:
    assert set(entries()) == set(SOURCES)
    for source, entry in entries().items():
        assert entry.keys() <= {"title", "url", "reading", "spread", "runs", "mixed"}, source
        assert entry["title"], source
        settings = {row["setting"] for row in rows(source)}
        assert settings >= set(entry.get("mixed", [])), source  # type: ignore[call-overload]


@pytest.mark.parametrize("source", SOURCES)
def test_no_figure_stands_twice_in_a_source(source: str) -> None:
    """Of two figures of one method under one protocol, a table would show the last."""
    counts = Counter(
        (published.plain(row["run"]), row["setting"], *model_and_metric(row))
        for row in rows(source)
    )
    assert {key: n for key, n in counts.items() if n > 1} == {}


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_quoted_is_marked_as_quoted(source: str) -> None:
    """A quoted figure never stands as the one that the quoted paper gives."""
    if source.endswith("_quoted"):
        assert all(is_mixed(source, row) for row in rows(source))


def test_quotes_of_one_figure_agree() -> None:
    """Tables of several papers quote the same rows; a digit that was misread would differ."""
    quotes: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for source in SOURCES:
        for row in rows(source):
            if is_mixed(source, row):
                key = (published.plain(row["run"]), *model_and_metric(row))
                quotes[key][source] = float(row["mean"])
    several = {key: means for key, means in quotes.items() if len(means) > 1}
    assert len(several) > 60
    assert {key: means for key, means in several.items() if len(set(means.values())) > 1} == {}


@pytest.mark.parametrize("quote", ORIGINALS, ids=str)
def test_a_quote_agrees_with_its_original(quote: tuple[str, str]) -> None:
    found = means_of(*quote)
    original = means_of(*ORIGINALS[quote])
    shared = found.keys() & original.keys()
    assert len(shared) >= 3
    assert {key: found[key] for key in shared} == {key: original[key] for key in shared}


def means_of(source: str, run: str) -> dict[tuple[str, ...], float]:
    """(dataset, backbone, metric) -> mean; the original may leave out its dimensions."""
    own = [row for row in rows(source) if row["run"] == run]
    return {(row["dataset"], row["backbone"], row["metric"]): float(row["mean"]) for row in own}


def run_of(row: Row, source: str) -> Run:
    """A run with the name and the model of a published row, on data of the literature."""
    name = published.bare(row["backbone"]) or "resnet50"
    size = int(row["dimensions"] or 512)
    model = {"_target_": f"architectures.{name}.{name}", "embedding_dim": size}
    return Run(row["dataset"], f"{source}_{row['run']}_00000000", 0, config={"backbone": model})


@pytest.mark.parametrize("source", SOURCES)
def test_a_column_has_the_figures_of_one_protocol(source: str) -> None:
    """Runs of every model of a source in one table: no figure is lost, none joins another's."""
    expected: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    models, datasets = {}, {row["dataset"] for row in rows(source)}
    for row in rows(source):
        if row["metric"] == "test/recall@1":
            label = "|".join([row["run"], published.bare(row["backbone"]), row["dimensions"]])
            models[row["dataset"], label] = run_of(row, source)
            method = row["method"] if is_mixed(source, row) else ""
            key = (row["dataset"], row["setting"], row["backbone"], row["dimensions"], method)
            expected[key][label] = float(row["mean"])
    frame = published.figures(source)
    for dataset in datasets:
        labels = [label for name, label in models if name == dataset]
        column = Column(dataset, "recall@1", {label: Cell(0) for label in labels})
        chosen = frame[(frame.dataset == dataset) & (frame.metric == "test/recall@1")]
        found = published.matches(chosen, column, models, source)
        headings = published.headings(source, found)
        assert len(set(headings)) == len(headings)
        for own, cells in found.items():
            size = own.dimensions.removesuffix(" dimensions")
            theirs = expected[dataset, own.setting, own.backbone, size, own.method]
            assert {label: cells[label].mean for label in theirs} == theirs
            assert unstated(cells.keys() - theirs.keys(), own)
        assert len(found) == sum(key[0] == dataset for key in expected)


def unstated(labels: set[str], protocol: published.Protocol) -> bool:
    """Whether the further runs are of models that the protocol, which names none, leaves open."""
    return not labels or "" in (protocol.backbone, protocol.dimensions)


def compared(source: str, *runs: Run) -> Table:
    """The table of these runs on cub200 with the figures of a source."""
    methods = {(run.dataset, run.group): run.group for run in runs}
    cells = {run.group: Cell(0.5) for run in runs}
    table = Table([], list(cells), [Column("cub200", "recall@1", cells)])
    return published.compared(table, runs, methods, source, ("test", "last"))


def on_cub(group: str, backbone: str, size: int = 512, loss: str = "margin") -> Run:
    model = {"_target_": f"architectures.{backbone}.{backbone}", "embedding_dim": size}
    config = {"backbone": model, "loss": {"_target_": f"criteria.{loss}.Loss"}}
    return Run("cub200", f"{group}_00000000", 0, config=config)


def shown(table: Table) -> dict[str, list[float]]:
    return {
        column.heading: [cell.mean for cell in column.cells.values()]
        for column in table.columns[1:]
        if column.heading != "difference"
    }


def test_backbones_are_columns_of_their_own() -> None:
    """A user compares one loss on two backbones with a source that has both."""
    table = compared(
        "pfml2025", on_cub("potential_field", "resnet50"), on_cub("potentialfield", "bninception")
    )
    assert shown(table) == {
        "pfml2025, ResNet50": [73.4],
        "pfml2025, BN-Inception": [71.5],
    }
    assert "main table, ResNet50, 512 dimensions and main table, BN-Inception" in table.notes[0]


def test_methods_of_a_table_that_quotes_are_columns_of_their_own() -> None:
    table = compared(
        "proxyanchor2020",
        on_cub("mine", "bninception", loss="proxy_anchor"),
        on_cub("other", "bninception", loss="softtriple"),
    )
    assert shown(table) == {
        "proxyanchor2020, Proxy-Anchor": [68.4],
        "proxyanchor2020, SoftTriple": [65.4],
    }


def test_each_source_that_ran_a_method_has_its_own_figure() -> None:
    run = on_cub("mine", "bninception", loss="proxy_anchor")
    found: dict[str, list[float]] = {}
    for source in ("proxyanchor2020", "proxyanchor_rerun", "drml2021", "memvir2021"):
        found |= shown(compared(source, run))
    assert found == {
        "proxyanchor2020": [68.4],
        "proxyanchor_rerun": [69.1],
        "drml2021": [67.3],
        "memvir2021": [67.7],
    }


def test_the_note_says_that_digits_were_read_by_eye() -> None:
    run = on_cub("mine", "bninception", loss="proxy_anchor")
    assert "digits read by eye from an image" in compared("memvir2021", run).notes[0]
    assert "by eye" not in compared("drml2021", run).notes[0]


def test_the_name_of_a_run_comes_before_that_of_its_loss() -> None:
    """`memvir_arcface` is ArcFace with MemVir, not the ArcFace of the same table."""
    table = compared("memvir2021", on_cub("memvir_arcface", "bninception", loss="arcface"))
    assert shown(table) == {"memvir2021": [67.4]}


@pytest.mark.parametrize("source", ["memvir2021", "proxysynthesis2021"])
def test_softmax_is_the_normalized_one_as_here(source: str) -> None:
    """loss=softmax is the normalized softmax; plain softmax stands as plain_softmax."""
    assert shown(compared(source, on_cub("mine", "bninception", loss="softmax"))) == {
        source: [64.9]
    }


@pytest.mark.parametrize(
    ("source", "run"),
    [
        ("pfml2025", on_cub("triplet", "resnet50")),  # its labels were changed at random
        ("metrix2022", on_cub("contrastive", "bninception")),
        ("metrix2022", on_cub("contrastive", "resnet50", 128)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.group,
)
def test_another_protocol_has_no_figure(source: str, run: Run) -> None:
    with pytest.raises(UserError, match=f"{source} has no figure"):
        compared(source, run)


def test_other_layers_are_another_backbone() -> None:
    run = on_cub("mine", "resnet50")
    assert published.same_model(run, "ResNet50-frozenBN", 512)
    assert not published.same_model(run, "ResNet50-IBN", 512)
    assert not published.same_model(on_cub("mine", "convnet"), "convnet (not uniform)", math.nan)


def test_the_pages_say_how_many_figures_there_are() -> None:
    files = published.FOLDER.glob("*.csv")
    number = round(sum(len(pd.read_csv(file)) for file in files), -2)
    root = Path(__file__).parents[2]
    for page in ("README.md", "docs/results.md"):
        assert f"{number:,} published" in (root / page).read_text(), page
