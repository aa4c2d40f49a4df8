"""Caption of a table: protocol, which epoch is reported, seeds and commit."""

from collections.abc import Sequence
from pathlib import Path

from reporting.run import Run

EXPERIMENTS = Path(__file__).parents[1] / "conf" / "experiment"
MEANING = {
    "last": "last epoch",
    "selected": "epoch selected on the validation split",
    "oracle": "best test value over epochs, each metric for itself",
}


def caption(runs: Sequence[Run], reading: str, split: str) -> list[str]:
    """Caption of these runs, one sentence per entry."""
    datasets = ", ".join(sorted({run.dataset for run in runs}))
    return [
        f"{datasets}, {split} split",
        f"Protocol: {protocol(runs)}",
        f"Reading: {reading} ({MEANING[reading]})",
        f"n = {seeds(runs)}",
        f"Commit: {commits(runs)}",
    ]


def protocol(runs: Sequence[Run]) -> str:
    """Studies that the runs claim to follow, and the settings in which they deviate."""
    claims = {claimed(run) or "none claimed" for run in runs}
    deviations = sorted({key for run in runs for key in run.deviations})
    return ", ".join(sorted(claims)) + (f", but for {', '.join(deviations)}" if deviations else "")


def claimed(run: Run) -> str | None:
    """The study of `experiment=<study>/...`, or the one whose experiment named the group."""
    study = run.claim.split("=")[-1] if run.claim else run.group.split("_")[0]
    study = study.split("/")[0]
    return study if run.claim or (EXPERIMENTS / study).is_dir() else None


def seeds(runs: Sequence[Run]) -> str:
    """`5 seeds (0, 1, 2, 3, 4)`, or the range where groups differ."""
    groups: dict[tuple[str, str], set[int]] = {}
    for run in runs:
        groups.setdefault((run.dataset, run.group), set()).add(run.seed)
    if len(set(map(frozenset, groups.values()))) == 1:
        own = sorted(next(iter(groups.values())))
        return f"{plural(len(own))} ({', '.join(map(str, own))})"
    sizes = sorted({len(own) for own in groups.values()})
    if len(sizes) == 1:
        return f"{plural(sizes[0])}, not the same in every row"
    return f"{sizes[0]} to {plural(sizes[-1])}, not the same in every row"


def plural(number: int) -> str:
    return f"{number} seed" + "s" * (number > 1)


def commits(runs: Sequence[Run]) -> str:
    """Short hashes of the commits; `+` marks uncommitted changes."""
    found = sorted({short(run.commit) for run in runs})
    return ", ".join(found)


def short(commit: str | None) -> str:
    return "unknown" if commit is None else commit[:7] + "+" * commit.endswith("+")
