"""Finished runs as a table: one row per group, mean ± sample standard deviation over seeds.

    python -m scripts.aggregate runs/omniglot_small --metrics recall@1 map@r --reading last

A run is a folder `<group>/seed<k>/` with a summary.json. The reading (last, selected or oracle:
how the epoch was chosen) stands above the table, for numbers of different readings never compare.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Groups = dict[str, dict[int, dict[str, Any]]]  # group -> seed -> its reading
READINGS = ("last", "selected", "oracle")


def collect(root: Path, reading: str) -> Groups:
    """Every finished run below `root`, by group and seed."""
    groups: Groups = {}
    for file in sorted(root.glob("**/seed*/summary.json")):
        values = json.loads(file.read_text())[reading]
        if values is not None:
            seed = int(file.parent.name.removeprefix("seed"))
            groups.setdefault(file.parent.parent.name, {})[seed] = values
    return groups


def missing(groups: Groups) -> list[str]:
    """`<group>/seed<k>` for every seed that some group has and this one lacks."""
    seeds = {seed for runs in groups.values() for seed in runs}
    return [f"{group}/seed{s}" for group, runs in groups.items() for s in sorted(seeds - set(runs))]


def cell(values: Sequence[float]) -> str:
    """Percent with the sample standard deviation over seeds; one seed has none and says so."""
    percent = [100 * value for value in values]
    spread = f"± {statistics.stdev(percent):.1f}" if len(percent) > 1 else "(n=1)"
    return f"{statistics.mean(percent):.1f} {spread}"


def render(groups: Groups, metrics: Sequence[str], reading: str) -> str:
    """A Markdown table, best group first by the first metric."""
    lines = [f"Reading: {reading}. Percent, mean ± standard deviation over seeds.", ""]
    lines.append("| group | seeds | " + " | ".join(metrics) + " |")
    lines.append("|---|---:|" + "---:|" * len(metrics))
    columns = {
        group: [[run[f"test/{metric}"] for run in runs.values()] for metric in metrics]
        for group, runs in groups.items()
    }
    for group in sorted(columns, key=lambda name: -statistics.mean(columns[name][0])):
        cells = [cell(values) for values in columns[group]]
        lines.append(f"| {group} | {len(groups[group])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of runs, usually of one dataset")
    parser.add_argument("--metrics", nargs="+", default=["recall@1", "map@r", "nmi"])
    parser.add_argument("--reading", choices=READINGS, default="last")
    parser.add_argument(
        "--allow-missing", action="store_true", help="print unequal numbers of seeds"
    )
    arguments = parser.parse_args(argv)
    groups = collect(arguments.root, arguments.reading)
    if not groups:
        print(
            f"error: no finished run with a reading {arguments.reading} below {arguments.root}",
            file=sys.stderr,
        )
        return 1
    absent = missing(groups)
    if absent and not arguments.allow_missing:
        print(
            f"error: missing {', '.join(absent)}; --allow-missing prints n per row", file=sys.stderr
        )
        return 1
    print(render(groups, arguments.metrics, arguments.reading))
    return 0


if __name__ == "__main__":
    sys.exit(main())
