"""Sources of runs: folders, Weights & Biases, and logs of the code of Roth et al. 2020."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.errors import UserError
from reporting.directions import foreign
from reporting.mixed_configurations import mark_differing
from reporting.readers.rdml import read_rdml
from reporting.readers.run_folders import read_folders
from reporting.readers.wandb_runs import read_wandb
from reporting.run import DAMAGED, Run

CACHE = Path("runs") / ".downloads"


def read_all(sources: Sequence[str], cache: Path = CACHE, refresh: bool = False) -> list[Run]:
    """Reads every run of all sources; names damaged runs and metrics of other code on stderr.

    Args:
        sources: `<folder>`, `wandb=<entity>/<project>` or `rdml=<folder>`.
        cache: where downloads are kept.
        refresh: look again for what is new at W&B.

    Raises:
        UserError: no source has a run, or two sources have the same run.
    """
    runs = [run for source in sources for run in read(source, cache, refresh)]
    if not runs:
        raise UserError(f"there is no run in {', '.join(sources)}")
    for name in duplicates(run.name for run in runs):
        raise UserError(f"{name} is in several of {', '.join(sources)}")
    runs = mark_differing(runs)
    for run in runs:
        if run.state == DAMAGED:
            print(f"left out: {run.error}", file=sys.stderr)
    for (metric, target), names in foreign_metrics(runs).items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        print(
            f"{metric} of {names[0]}{more} is measured by {target}, no metric of conf/metric/; "
            "nothing is known of it but its numbers",
            file=sys.stderr,
        )
    return runs


def foreign_metrics(runs: Iterable[Run]) -> dict[tuple[str, str], list[str]]:
    """Metrics of functions outside conf/metric/: (metric, function) -> names of the runs."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for where in foreign(run.config).items():
            found.setdefault(where, []).append(run.name)
    return found


def read(source: str, cache: Path, refresh: bool) -> Iterator[Run]:
    kind, _, place = source.partition("=")
    if place and kind == "wandb":
        return read_wandb(place, cache, refresh)
    if place and kind == "rdml":
        return read_rdml(Path(place))
    return read_folders(Path(source))


def duplicates(names: Iterable[str]) -> list[str]:
    return [name for name, number in Counter(names).items() if number > 1]
