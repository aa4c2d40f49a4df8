"""Published results beside our runs: numbers of a source, and their difference to ours."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from core.errors import UserError
from reporting.readers.run_folders import datasets
from reporting.run import Run
from reporting.table import Cell, Column, Table

FOLDER = Path(__file__).parents[1] / "results" / "published"


def sources() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.csv") if "correlations" not in file.stem)


@cache
def about(source: str) -> Mapping[str, Any]:
    """The entry of a source in sources.yaml; empty for most."""
    known = yaml.safe_load((FOLDER / "sources.yaml").read_text())
    return dict(known.get(source) or {})


def figures(source: str) -> pd.DataFrame:
    """Rows of `results/published/<source>.csv`.

    Raises:
        UserError: the source is unknown; the message names all.
    """
    if source not in sources():
        raise UserError(f"nothing published as {source}; there is {', '.join(sources())}")
    return pd.read_csv(FOLDER / f"{source}.csv")


def compared(
    table: Table,
    runs: Iterable[Run],
    methods: Mapping[tuple[str, str], str],
    source: str,
    where: tuple[str, str],
) -> Table:
    """Adds the published number and the difference beside each of our columns.

    A published number belongs to a row of the same data, metric and method, and of the same
    backbone and dimensions where the source states them. Each setting of a source is a column.

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
    for column in table.columns:
        columns.append(column)
        rows = published[
            (published.dataset == column.dataset)
            & (published.metric == f"{split}/{column.heading}")
        ]
        found = matches(rows, column, models, source)
        for setting, cells in found.items():
            name = source if len(found) == 1 else f"{source}, {setting}"
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
    notes = [*table.notes, note(source), *([f"{without_figure(other)}."] if other else [])]
    return replace(table, columns=columns, notes=notes)


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
) -> dict[str, dict[str, Cell]]:
    """setting -> row -> the published cell."""
    found: dict[str, dict[str, Cell]] = {}
    for row in rows.itertuples():
        for method in column.cells:
            run = models.get((column.dataset, method))
            if run is None:
                continue
            if plain(str(row.run)) in names(run, source) and same_model(
                run, row.backbone, row.dimensions
            ):
                cell = Cell(float(row.mean), float(row.spread))  # type: ignore[arg-type]
                found.setdefault(str(row.setting), {})[method] = cell
    return found


def names(run: Run, source: str) -> set[str]:
    """Names of a run in other publications: that of its group, and that of its loss."""
    own = re.sub(r"_[0-9a-f]{8}$", "", run.group)
    target = str((run.config.get("loss") or {}).get("_target_", ""))
    loss = target.split(".")[-2] if target.count(".") > 1 else ""
    protocol = f"{source}_"
    if own.startswith(protocol):
        return {plain(own.removeprefix(protocol))}
    return {plain(own), plain(loss)} - {""}


def plain(name: str) -> str:
    """Normalised name: `Proxy-Anchor` and `proxy_anchor` become `proxyanchor`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def same_model(run: Run, backbone: Any, dimensions: Any) -> bool:  # noqa: ANN401
    """Whether the run has the backbone and the dimensions, where the source says them."""
    own = run.config.get("backbone") or {}
    name = own.get("model_name") or str(own.get("_target_", "")).rpartition(".")[2]
    same_name = pd.isna(backbone) or plain(str(backbone)).startswith(plain(str(name)))
    same_size = pd.isna(dimensions) or dimensions == own.get("embedding_dim")
    return bool(name) and same_name and bool(same_size)


def differences(column: Column, published: Mapping[str, Cell]) -> dict[str, Cell]:
    return {row: Cell(column.cells[row].mean - cell.mean) for row, cell in published.items()}


def note(source: str) -> str:
    """Note below the table about its published columns."""
    known = about(source)
    parts = [
        f"{source}: {known.get('title', 'see results/published/README.md')}",
        f"reading {known.get('reading', 'not stated')}",
        f"± is the {known['spread']}" if "spread" in known else "what its ± is, is not stated",
        *([f"{known['runs']} runs"] if "runs" in known else []),
    ]
    return "; ".join(parts) + "."
