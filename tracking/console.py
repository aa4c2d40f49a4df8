"""Console report of a run: prints its metrics in three readings, its cost and the summary file."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from core.files import DamagedFileError
from tracking.run_folder import RunFolder

READINGS = ("last", "selected", "oracle")


def report(folder: RunFolder) -> None:
    """Print the metrics and cost in `summary.json`, then the path of the file.

    Raises:
        DamagedFileError: the file differs from what the run wrote.
    """
    folder.verify(folder.summary)
    content = folder.read_json(folder.summary)
    if missing := [reading for reading in READINGS if reading not in content]:
        raise DamagedFileError(f"{folder.summary} is damaged: no {missing[0]} in it")
    Console().print(table(content))
    if content["selected"] is None:
        Console().print(f"selected: {content['selected_reason']}", highlight=False)
    if "stopped" in content:
        Console().print(format_stop(content["stopped"]), highlight=False, soft_wrap=True)
    if "cost" in content:
        Console().print(format_cost(content["cost"]), highlight=False, soft_wrap=True)
    print(folder.summary)  # noqa: T201


def table(summary: Mapping[str, Any]) -> Table:
    """Table with one row per test metric and one column per reading; lists are left out."""
    grid = Table("metric", *READINGS, box=None, header_style="bold")
    for column in grid.columns[1:]:
        column.justify = "right"
    for name, value in summary["last"].items():
        if name.startswith("test/") and not isinstance(value, list):
            grid.add_row(name, *(format_value(summary[reading], name) for reading in READINGS))
    return grid


def format_stop(stop: Mapping[str, Any]) -> str:
    """One line with the hook that ended a run before its last step."""
    return f"stopped: by {stop['by']} after {stop['step']} of {stop['of']} steps"


def format_cost(cost: Mapping[str, Any]) -> str:
    """One line with time, throughput, memory and device."""
    rate = "" if cost["images_per_second"] is None else f", {cost['images_per_second']} images/s"
    return (
        f"cost: {cost['seconds']} s (training {cost['train_seconds']}, evaluation "
        f"{cost['evaluation_seconds']}){rate}, {cost['peak_memory_gib']} GiB on {cost['device']}"
    )


def format_value(reading: Mapping[str, Any] | None, name: str) -> str:
    """A metric of a reading with four decimals; `-` if it has no value."""
    value = None if reading is None else reading.get(name)
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
