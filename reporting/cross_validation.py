"""Cross-validation: summarises the numbers of folds over the seeds."""

import statistics
from collections.abc import Mapping, Sequence

from rich.table import Table as Grid

from reporting.statistics import half_interval

Numbers = dict[str, float]
WAYS = ("separated", "concatenated")


def scalars(results: Mapping[str, object]) -> Numbers:
    """Metrics whose value is one number; counts such as `num_queries` are left out."""
    return {
        name: float(value)
        for name, value in results.items()
        if isinstance(value, float) and not name.startswith("num_")
    }


def summarize_seeds(by_seed: Mapping[int, Mapping[str, Numbers]]) -> dict[str, dict[str, Numbers]]:
    """Mean and half the 95 % t-interval over seeds of every metric, separated and concatenated."""
    rows: dict[str, dict[str, Numbers]] = {}
    for way in WAYS:
        for metric in next(iter(by_seed.values()))[way]:
            values = [results[way][metric] for results in by_seed.values()]
            summary = {"mean": statistics.fmean(values), "half_interval": half_interval(values)}
            rows.setdefault(metric, {})[way] = summary
    return rows


def summary_table(
    rows: Mapping[str, Mapping[str, Numbers]], seeds: Sequence[int], split: str
) -> Grid:
    """Table of the summary, in percent."""
    title = f"{split}, selected on validation classes, n={len(seeds)} seeds, mean ± 95 % interval"
    grid = Grid("metric", *WAYS, title=title, box=None)
    for metric, row in rows.items():
        grid.add_row(metric, *(format_cell(row[way]) for way in WAYS))
    return grid


def format_cell(summary: Numbers) -> str:
    half = summary["half_interval"]
    spread = f" ± {100 * half:.2f}" if half == half else " (n=1)"  # NaN of one seed
    return f"{100 * summary['mean']:.2f}{spread}"
