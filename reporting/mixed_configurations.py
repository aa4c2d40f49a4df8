"""Finds runs whose configuration differs from the other seeds of their group."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reporting.run import DAMAGED, Run, scientific

OF_A_SEED = ("num_classes", "num_clusters")  # wherever the resolved configuration repeats them


def mark_differing(runs: Sequence[Run]) -> list[Run]:
    """Marks as `damaged` each run that differs from most of its group, and names the keys."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.state != DAMAGED:
            groups.setdefault((run.dataset, run.group), []).append(run)
    differing = {run.name: run for own in groups.values() for run in differing_from_most(own)}
    return [differing.get(run.name, run) for run in runs]


def differing_from_most(group: Sequence[Run]) -> list[Run]:
    """The runs of a group whose configuration is not the most frequent one, as `damaged`."""
    configs = [settings(run) for run in group]
    if not any(differing_keys(configs[0], config) for config in configs):
        return []
    agreeing = [sum(not differing_keys(one, other) for other in configs) for one in configs]
    usual = agreeing.index(max(agreeing))
    return [
        replace(
            run,
            state=DAMAGED,
            readings={},
            error=f"{run.name}: another configuration than {group[usual].name}: {first_of(keys)}",
        )
        for run, config in zip(group, configs, strict=True)
        if (keys := differing_keys(configs[usual], config))
    ]


def settings(run: Run) -> dict[str, str]:
    """Settings that all seeds of a group share: `a.b.c` -> value as text."""
    return {
        key: str(value)
        for key, value in scientific(run.config).items()
        if key.rpartition(".")[2] not in OF_A_SEED
    }


def differing_keys(first: dict[str, str], second: dict[str, str]) -> list[str]:
    """Keys in which two differ; a key that only one of them has is ignored."""
    return sorted(key for key in first.keys() & second.keys() if first[key] != second[key])


def first_of(keys: Iterable[str]) -> str:
    """The first key and the number of the others, `a.b and 2 more`."""
    first, *more = keys
    return first + (f" and {len(more)} more" if more else "")
