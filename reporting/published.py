"""Published results beside our runs: numbers of a source, and their difference to ours."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from core.errors import UserError
from reporting.readers.run_folders import datasets
from reporting.run import Run
from reporting.table import Cell, Column, Table

FOLDER = Path(__file__).parents[1] / "results" / "published"
NUMBERS = ("dimensions", "mean", "spread")  # columns that hold numbers
COLUMNS = ("run", "method", "dataset", "setting", "backbone", "metric", *NUMBERS)
BY_EYE = "read off the image"  # what the column `seen` says of such figures


class Protocol(NamedTuple):
    """What the figures of one column have in common; "" where the source does not say it."""

    setting: str
    backbone: str
    dimensions: str
    method: str  # "" unless each method of the setting follows a protocol of its own


def sources() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.csv") if "correlations" not in file.stem)


@cache
def about(source: str) -> Mapping[str, Any]:
    """The entry of a source in sources.yaml; empty for a file that a user added."""
    known = yaml.safe_load((FOLDER / "sources.yaml").read_text())
    return dict(known.get(source) or {})


def figures(source: str) -> pd.DataFrame:
    """Rows of `results/published/<source>.csv`, or of a CSV file of the user with these columns.

    Raises:
        UserError: the source is unknown, or columns are missing; the message names all.
    """
    if not source.endswith(".csv"):
        if source not in sources():
            known = ", ".join(sources())
            raise UserError(f"nothing published as {source}; there is {known}, or a file .csv")
        return pd.read_csv(FOLDER / f"{source}.csv")
    try:
        rows = pd.read_csv(source)
    except (OSError, ValueError) as error:
        raise UserError(f"{source} cannot be read as CSV: {error}") from error
    if missing := [name for name in COLUMNS if name not in rows]:
        raise UserError(f"{source} has no column {', '.join(missing)}; {', '.join(COLUMNS)} needed")
    if bad := [name for name in NUMBERS if not pd.api.types.is_numeric_dtype(rows[name])]:
        raise UserError(f"{source}: {', '.join(bad)} should hold numbers, empty where not stated")
    return rows.assign(seen="") if "seen" not in rows else rows.astype({"seen": str})


def compared(
    table: Table,
    runs: Iterable[Run],
    methods: Mapping[tuple[str, str], str],
    source: str,
    where: tuple[str, str],
) -> Table:
    """Adds the published number and the difference beside each of our columns.

    A published number belongs to a row of the same data, metric and method, and of the same
    backbone and dimensions where the source states them. Each protocol of a source is a column.

    Args:
        methods: (dataset, group) -> row.
        where: split and reading of the table.

    Raises:
        UserError: the source reports another reading, or none of these runs.
    """
    split, reading = where
    theirs = about(source).get("reading")
    if theirs not in (None, reading):
        raise UserError(
            f"{source} reports the {theirs} reading and this table the {reading}, which never "
            f"compare: use --reading {theirs}"
        )
    published = figures(source)
    found_data = {(run.dataset, methods[run.dataset, run.group]): run for run in runs}
    other = {row for row, run in found_data.items() if not same_data(run)}
    models = {row: run for row, run in found_data.items() if row not in other}
    columns: list[Column] = []
    protocols: dict[Protocol, None] = {}  # in the order of the columns
    for column in table.columns:
        columns.append(column)
        rows = published[
            (published.dataset == column.dataset)
            & (published.metric == f"{split}/{column.heading}")
        ]
        found = matches(rows, column, models, source)
        protocols |= dict.fromkeys(found)
        for name, cells in zip(headings(source, found), found.values(), strict=True):
            columns += [
                Column(column.dataset, name, cells, column.digits),
                Column(
                    column.dataset, "difference", differences(column, cells), column.digits, True
                ),
            ]
    if columns == table.columns:
        reason = f"; {without_figure(other)}" if other else ""
        raise UserError(
            f"{source} has no figure for these methods, datasets, metrics and backbones{reason}; "
            f"its methods are {', '.join(sorted(published.run.unique()))}"
        )
    notes = [note(source, protocols), *([f"{without_figure(other)}."] if other else [])]
    return replace(table, columns=columns, notes=[*table.notes, *notes])


def same_data(run: Run) -> bool:
    """Whether a run checked the numbers of classes and images of conf/dataset/.

    With `dataset.counts=null`, other counts or another reader its data are unknown. A run without a
    dataset in its configuration comes from the code that published the numbers.
    """
    own = run.config.get("dataset")
    known = datasets().get(run.dataset, {})
    return own is None or all(own.get(key) == known.get(key) for key in ("_target_", "counts"))


def without_figure(rows: Iterable[tuple[str, str]]) -> str:
    """Sentence about the rows without a published number because of their data."""
    named = ", ".join(f"{method} ({dataset})" for dataset, method in sorted(rows))
    return f"not on the data of the literature, by their dataset.counts: {named}"


def matches(
    rows: pd.DataFrame, column: Column, models: Mapping[tuple[str, str], Run], source: str
) -> dict[Protocol, dict[str, Cell]]:
    """Protocol -> row -> the published cell."""
    mixed = about(source).get("mixed", [])
    found: dict[Protocol, dict[str, Cell]] = {}
    for method in column.cells:
        run = models.get((column.dataset, method))
        for row in rows_of(run, rows, source) if run else []:
            cell = Cell(float(row.mean), float(row.spread))
            found.setdefault(protocol(row, mixed), {})[method] = cell
    return found


def rows_of(run: Run, rows: pd.DataFrame, source: str) -> list[Any]:
    """The published rows of a run: those of its group's name, or else those of its loss."""
    same = [row for row in rows.itertuples() if same_model(run, row.backbone, row.dimensions)]
    by_name = ([row for row in same if plain(str(row.run)) == name] for name in names(run, source))
    return next((named for named in by_name if named), [])


def protocol(row: Any, mixed: Collection[str]) -> Protocol:  # noqa: ANN401
    """The protocol of a published row.

    Args:
        mixed: settings in which each method follows a protocol of its own.
    """
    backbone = "" if pd.isna(row.backbone) else str(row.backbone)
    dimensions = "" if pd.isna(row.dimensions) else f"{row.dimensions:g} dimensions"
    method = str(row.method) if row.setting in mixed else ""
    return Protocol(str(row.setting), backbone, dimensions, method)


def headings(source: str, protocols: Collection[Protocol]) -> list[str]:
    """Headings of the columns of a source: its name, and what differs between its protocols."""
    differs = [len(set(values)) > 1 for values in zip(*protocols, strict=True)]
    name = Path(source).stem
    return [", ".join([name, *filter(None, compress(own, differs))]) for own in protocols]


def names(run: Run, source: str) -> list[str]:
    """Names of a run in other publications: that of its group, and that of its loss."""
    own = re.sub(r"_[0-9a-f]{8}$", "", run.group)
    target = str((run.config.get("loss") or {}).get("_target_", ""))
    loss = target.split(".")[-2] if target.count(".") > 1 else ""
    prefix = f"{source}_"
    if own.startswith(prefix):
        return [plain(own.removeprefix(prefix))]
    return [name for name in (plain(own), plain(loss)) if name]


def plain(name: str) -> str:
    """Normalised name: `Proxy-Anchor` and `proxy_anchor` become `proxyanchor`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def same_model(run: Run, backbone: Any, dimensions: Any) -> bool:  # noqa: ANN401
    """Whether the run has the backbone and the dimensions, where the source says them.

    A backbone with other weights or other layers has another name: resnet50 is not ResNet50-IBN.
    """
    own = run.config.get("backbone") or {}
    name = own.get("model_name") or str(own.get("_target_", "")).rpartition(".")[2]
    same_name = pd.isna(backbone) or bare(str(backbone)) == plain(str(name))
    same_size = pd.isna(dimensions) or dimensions == own.get("embedding_dim")
    return bool(name) and same_name and bool(same_size)


def bare(backbone: str) -> str:
    """Normalised name of a backbone without the mark of its frozen BatchNorm."""
    return plain(backbone).removesuffix("frozenbn")


def differences(column: Column, published: Mapping[str, Cell]) -> dict[str, Cell]:
    return {row: Cell(column.cells[row].mean - cell.mean) for row, cell in published.items()}


def note(source: str, protocols: Iterable[Protocol]) -> str:
    """Note below the table about its published columns."""
    known = about(source)
    described = dict.fromkeys(", ".join(filter(None, own[:3])) for own in protocols)
    rows = figures(source)
    seen = rows.seen[rows.setting.isin({own.setting for own in protocols})]
    parts = [
        f"{Path(source).stem}: {known.get('title', f'numbers of {Path(source).name}')}",
        " and ".join(described),
        f"reading {known.get('reading', 'not stated')}",
        f"± is the {known['spread']}" if "spread" in known else "what its ± is, is not stated",
        *([f"{known['runs']} runs"] if "runs" in known else []),
        *(["digits read by eye from an image"] if seen.str.contains(BY_EYE).any() else []),
    ]
    return "; ".join(parts) + "."
