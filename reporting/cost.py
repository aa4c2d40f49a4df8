"""Cost columns of a table: time, speed, memory and GPU hours of the runs of each row."""

from collections.abc import Callable, Iterable, Mapping
from statistics import mean

from reporting.run import Run
from reporting.table import Cell, Column

Combine = Callable[[list[float]], float]
# key in summary.json -> heading, divisor, digits, how runs are combined
NAMES: dict[str, tuple[str, float, int, Combine]] = {
    "seconds": ("minutes per run", 60, 1, mean),
    "images_per_second": ("images/s", 1, 0, mean),
    "peak_memory_gib": ("peak GiB", 1, 2, max),
    "gpu_hours": ("GPU hours, all runs", 1, 2, sum),
}


def columns(runs: Iterable[Run], methods: Mapping[tuple[str, str], str]) -> list[Column]:
    """Cost columns, one per dataset and kind of cost that any of its runs recorded."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for run in runs:
        for key in NAMES:
            value = run.cost.get(key)
            if value is not None:
                row = methods[run.dataset, run.group]
                found.setdefault((run.dataset, key), {}).setdefault(row, []).append(float(value))
    return [column(dataset, key, found[dataset, key]) for dataset, key in sorted(found, key=order)]


def order(where: tuple[str, str]) -> tuple[str, int]:
    return where[0], list(NAMES).index(where[1])


def column(dataset: str, key: str, values: Mapping[str, list[float]]) -> Column:
    heading, divisor, digits, combine = NAMES[key]
    cells = {row: Cell(float(combine(own)) / divisor) for row, own in values.items()}
    return Column(dataset, heading, cells, digits)
