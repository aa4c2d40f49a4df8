"""Measure speed and memory side by side:  python -m scripts.benchmark criteria [--device cuda].

Every implementation runs in a process of its own, in turn with the others, on the same data. The
table is written to <out>/<what>_<device>.csv: one row for each size and implementation, with the
hardware, the versions and the load of the machine.
"""

import argparse
from collections.abc import Sequence

from benchmarks import (
    criteria,
    evaluation,
    evaluation_warm,
    samplers,
    scaling,
    search,
    start,
    statistics,
    training,
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subjects = parser.add_subparsers(dest="what", required=True)
    criteria.add_to(subjects)
    evaluation.add_to(subjects)
    evaluation_warm.add_to(subjects)
    training.add_to(subjects)
    scaling.add_to(subjects)
    start.add_to(subjects)
    samplers.add_to(subjects)
    search.add_to(subjects)
    statistics.add_to(subjects)
    chosen = parser.parse_args(arguments)
    chosen.run(chosen)


if __name__ == "__main__":
    main()
