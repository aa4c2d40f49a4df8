"""Console report of a run: prints its metrics in up to three readings, its cost and its summary."""

from collections.abc import Mapping
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from core.files import DamagedFileError
from evaluation.results import COUNTS
from tracking.equal_metrics import MetricConfigs, equal_metrics
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
    Console().print(table(content, metrics_of(folder)))
    for line in notes(content):
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    print(folder.summary)  # noqa: T201


def metrics_of(folder: RunFolder) -> MetricConfigs:
    """The metrics in `config.yaml`; none if the file cannot be read."""
    try:
        content = yaml.safe_load(folder.config.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    metrics = content.get("metric") if isinstance(content, dict) else None
    if not isinstance(metrics, dict):
        return {}
    return {name: metric for name, metric in metrics.items() if isinstance(metric, dict)}


def table(summary: Mapping[str, Any], metrics: MetricConfigs) -> Table:
    """Table with one row per test metric and one column per reading that the run has.

    A metric whose readings agree is shown once, in the first column; if all agree, there is one
    column. Metrics that are equal by definition share a row. Lists and `COUNTS` are left out.

    Args:
        metrics: the metrics of the run's configuration.
    """
    readings = [reading for reading in READINGS if summary[reading] is not None]
    rows = {
        text: [format_value(summary[reading], name) for reading in readings]
        for name, text in rows_of(summary["last"], metrics).items()
    }
    agreeing = {text for text, values in rows.items() if len(set(values)) == 1}
    columns = [" = ".join(readings)] if len(agreeing) == len(rows) else readings
    grid = Table("metric", *columns, box=None, header_style="bold")
    for column in grid.columns[1:]:
        column.justify = "right"
    for text, values in rows.items():
        grid.add_row(text, *(values[:1] if text in agreeing else values))
    return grid


def rows_of(last: Mapping[str, Any], metrics: MetricConfigs) -> dict[str, str]:
    """The result that fills each row, and the text that names the results of the row."""
    equal = equal_metrics(metrics)
    rows: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}  # of the results that share a row
    for name, value in last.items():
        parts = name.split("/")
        if parts[0] != "test" or parts[-1] in COUNTS or isinstance(value, list):
            continue
        row = first.setdefault((*(equal.get(part, part) for part in parts), value), name)
        rows[row] = name if row == name else f"{rows[row]} = {name.removeprefix('test/')}"
    return rows


def notes(summary: Mapping[str, Any]) -> list[str]:
    """The lines below the table: number of queries, selection, stop and cost."""
    last, lines = summary["last"], []
    if "test/num_queries" in last:
        excluded = last.get("test/num_queries_excluded", 0)
        lines.append(format_queries(last["test/num_queries"], excluded))
    if summary["selected"] is None:
        lines.append(f"selected: {summary['selected_reason']}")
    if "stopped" in summary:
        lines.append(format_stop(summary["stopped"]))
    if "cost" in summary:
        lines.append(format_cost(summary["cost"]))
    return lines


def format_queries(scored: int, excluded: int) -> str:
    """One line with the number of queries, and of those that have nothing to find."""
    text = f"queries: {scored:,}"
    return f"{text}, without {excluded:,} that have no relevant image" if excluded else text


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
