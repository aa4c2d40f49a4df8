"""Report page: one self-contained HTML file, drawn by web/page.js from the data written here."""

import json
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from core.errors import UserError
from reporting.best import NAMES
from reporting.caption import caption, short
from reporting.directions import directions
from reporting.run import Run, flat, labels, read
from reporting.table import Cell, Table, tabulate
from reporting.writers.markdown import heading
from tracking.console import READINGS
from tracking.metrics_log import Record, finite

WEB = Path(__file__).parent / "web"
ROOT = Path(__file__).parents[2]
SPECTRUM = "test/rho_spectrum@0"
POINTS = 400  # most points of a curve; longer ones are downsampled evenly
PRIVATE = ("paths.", "tracker.", "dataset.root", "dataset.path")  # places of a machine, accounts
LEGEND = (
    "Mean ± sample standard deviation (number of seeds), rates in percent. Best filled, second "
    f"underlined, † not significantly worse than the best ({NAMES['moderated']}, 5 %)"
)


def page(runs: Sequence[Run], metrics: Sequence[str], title: str) -> str:
    """The text of the page.

    Args:
        metrics: of the tables, without their split; the curves show all there are.
    """
    content = json.dumps(finite(data(runs, metrics)), allow_nan=False, separators=(",", ":"))
    parts = {name: (WEB / f"page.{name}").read_text() for name in ("css", "js")}
    return Template((WEB / "page.html").read_text()).substitute(
        title=title.replace("&", "&amp;").replace("<", "&lt;"),
        style=parts["css"],
        script=parts["js"],
        data=content.replace("<", "\\u003c"),  # no text can end the element
    )


def data(runs: Sequence[Run], metrics: Sequence[str]) -> dict[str, Any]:
    methods = labels(runs)
    higher = directions([run.config for run in runs], metrics)
    rates = {name: higher[name] is not None for name in metrics}
    return {
        "readings": READINGS,
        "methods": sorted(set(methods.values())),
        "metrics": [
            {"name": name, "factor": 100 if rate else 1, "digits": 1 if rate else 3}
            for name, rate in rates.items()
        ],
        "tables": {reading: table(runs, metrics, reading) for reading in READINGS},
        "runs": [run_to_dict(run, methods[run.dataset, run.group], metrics) for run in runs],
    }


def table(runs: Sequence[Run], metrics: Sequence[str], reading: str) -> dict[str, Any] | None:
    """The table of the finished runs in one reading; None where no run has it."""
    finished = [run for run in runs if run.state == "finished"]
    try:
        made = tabulate(finished, measured(finished, metrics, reading), reading, "test")
    except UserError:
        return None
    return {
        "caption": ". ".join([*caption(finished, reading, "test"), LEGEND]) + ".",
        "columns": [
            {"name": heading(column, made.several_datasets), "digits": column.digits}
            for column in made.columns
        ],
        "rows": [{"method": row, "cells": cells(made, row)} for row in made.rows],
    }


def measured(runs: Sequence[Run], metrics: Sequence[str], reading: str) -> list[str]:
    """The metrics that at least one run has."""
    found = {name for run in runs for name in read(run, reading)}
    return [name for name in metrics if f"test/{name}" in found]


def cells(made: Table, row: str) -> list[dict[str, Any] | None]:
    found = [column.cells.get(row) for column in made.columns]
    return [None if cell is None else shown(cell) for cell in found]


def shown(cell: Cell) -> dict[str, Any]:
    return {**vars(cell), "spread": None if isnan(cell.spread) else cell.spread}


def run_to_dict(run: Run, method: str, metrics: Sequence[str]) -> dict[str, Any]:
    """Data of one run on the page."""
    seconds = run.cost.get("seconds")
    return {
        "name": run.name,
        "dataset": run.dataset,
        "method": method,
        "seed": run.seed,
        "state": run.state,
        "commit": short(run.commit),
        "error": run.error,
        "traceback": run.traceback and run.traceback.replace(f"{ROOT}/", ""),
        "readings": {
            reading: {name: read(run, reading).get(f"test/{name}") for name in metrics}
            for reading in READINGS
        },
        "cost": {
            "minutes": None if seconds is None else seconds / 60,
            "speed": run.cost.get("images_per_second"),
            "memory": run.cost.get("peak_memory_gib"),
            "gpu": run.cost.get("gpu_hours"),
            "device": run.cost.get("device"),
        },
        "history": history(run.records),
        "spectrum": spectrum(run.records),
        "config": {k: v for k, v in flat(run.config) if not k.startswith(PRIVATE)},
    }


def history(records: Sequence[Record]) -> dict[str, list[list[float | None]]]:
    """metric -> [epoch, value] pairs; lists are no curves."""
    curves: dict[str, list[list[float | None]]] = {}
    for record in records:
        for name, value in record.items():
            if "/" in name and isinstance(value, float | int):
                curves.setdefault(name, []).append([rounded(record["epoch"]), rounded(value)])
    return {name: downsample(points) for name, points in curves.items()}


def downsample(points: list[Any]) -> list[Any]:
    """At most `POINTS` of the points, evenly spaced, the first and the last included."""
    kept = np.linspace(0, len(points) - 1, min(len(points), POINTS)).round().astype(int)
    return [points[index] for index in kept]


def spectrum(records: Sequence[Record]) -> list[float] | None:
    """The last one, as shares of the sum."""
    found = [record[SPECTRUM] for record in records if isinstance(record.get(SPECTRUM), list)]
    if not found or not sum(found[-1]):
        return None
    return [rounded(value / sum(found[-1])) for value in found[-1]]


def rounded(value: float) -> float:
    """Five digits: more than any screen shows."""
    return float(f"{value:.5g}")
