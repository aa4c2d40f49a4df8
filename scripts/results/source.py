"""Where runs come from: folders, Weights & Biases, the logs of other code."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.errors import UserError
from scripts.results.folders import read_folders
from scripts.results.rdml import read_rdml
from scripts.results.run import Run
from scripts.results.wandb_runs import read_wandb

CACHE = Path("runs") / ".downloads"


def read_all(sources: Sequence[str], cache: Path = CACHE, refresh: bool = False) -> list[Run]:
    """Every run of all sources, each once.

    Args:
        sources: `<folder>`, `wandb=<entity>/<project>` or `rdml=<folder>`.
        cache: where downloads are kept.
        refresh: look again for what is new at W&B.

    Raises:
        UserError: there is nothing, or one run is in two sources.
    """
    runs = [run for source in sources for run in read(source, cache, refresh)]
    if not runs:
        raise UserError(f"there is no run in {', '.join(sources)}")
    for name in twice(run.name for run in runs):
        raise UserError(f"{name} is in several of {', '.join(sources)}")
    return runs


def read(source: str, cache: Path, refresh: bool) -> Iterator[Run]:
    kind, _, place = source.partition("=")
    if place and kind == "wandb":
        return read_wandb(place, cache, refresh)
    if place and kind == "rdml":
        return read_rdml(Path(place))
    return read_folders(Path(source))


def twice(names: Iterable[str]) -> list[str]:
    return [name for name, number in Counter(names).items() if number > 1]
