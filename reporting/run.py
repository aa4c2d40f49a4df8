"""Run as tables and figures need it, independent of its source."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pandas as pd

from engine.config.added_keys import without_added_keys
from engine.config.run_overrides import is_portable
from tracking.console import READINGS
from tracking.metrics_log import Record
from tracking.summary import best_of, evaluations

DAMAGED = "damaged"  # state of a run that cannot be used, because a file of it has changed
HASHED = re.compile(r"_[0-9a-f]{8}$")
COLUMNS = ("dataset", "method", "group", "seed", "reading", "metric", "value")
TARGET = "._target_"
HOOKS = "hooks."  # a run may have any number of them
MOST = 3  # most numbers in a name that distinguishes two configurations
REPEATED = ("group.", "dataset.", "evaluation.measure.metrics.", "loss.miner.", "sampler.miner.")


@dataclass(frozen=True)
class Run:
    """Run: its place, state, configuration, measurements and cost.

    Args:
        dataset, group, seed: the last three parts of its folder.
        state: `finished`, or why there is no summary: `running`, `failed`, ...
        config: resolved, as plain containers.
        overrides: of the command that made it; empty where they were not recorded.
        readings: last, selected, oracle; None where the run has no such reading.
        records: its measurements, in order.
        cost: `seconds`, `images_per_second`, `peak_memory_gib`, `gpu_hours`, ...; may be empty.
        claim: what it claims to follow, `experiment=...` or `protocol=...`.
        deviations: the settings in which it deviates.
        commit: of the code, with `+` where it was changed.
        error, traceback: of a failed run; the error of a damaged run names the file.
    """

    dataset: str
    group: str
    seed: int
    state: str = "finished"
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    readings: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    cost: Mapping[str, Any] = field(default_factory=dict)
    claim: str | None = None
    deviations: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None
    error: str | None = None
    traceback: str | None = None

    @property
    def name(self) -> str:
        return f"{self.dataset}/{self.group}/seed{self.seed}"

    @property
    def failed_start(self) -> bool:
        """Whether it failed before its first evaluation."""
        return self.state == "failed" and not any(self.readings.values())


def tidy(runs: Iterable[Run]) -> pd.DataFrame:
    """Table of all numbers, one per row: dataset, method, group, seed, reading, metric, value.

    A metric is `<split>/<name>`. The oracle reading is of test metrics; the other splits are read
    at the evaluation with the best test/recall@1, where Roth et al. 2020 read the training split.
    """
    runs = list(runs)
    methods = labels(runs)
    rows = [
        (run.dataset, methods[run.dataset, run.group], run.group, run.seed, reading, name, value)
        for run in runs
        for reading in READINGS
        for name, value in read(run, reading).items()
        if isinstance(value, float | int) and "/" in name
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read(run: Run, reading: str) -> dict[str, Any]:
    """Numbers of one reading: `<split>/<metric>` -> value; empty if the run has no such reading."""
    values = dict(run.readings.get(reading) or {})
    measured = evaluations(run.records)
    if reading == "oracle" and values and measured:
        return {**best_of(measured, "test/recall@1", {}), **values}
    return values


def labels(runs: Iterable[Run]) -> dict[tuple[str, str], str]:
    """Row names, (dataset, group) -> name: the group without its hash.

    Where one dataset has several groups of that name, the values of the keys in which they differ
    are added, as in `margin-distance-resnet50 [beta=0.6]`; if these are many, the hash stays.
    """
    configs: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: not run.config):  # a damaged run has none
        configs.setdefault(HASHED.sub("", run.group), {}).setdefault(
            (run.dataset, run.group), scientific(run.config)
        )
    return {
        group: f"{name} [{label}]" if label else name
        for name, groups in configs.items()
        for group, label in disambiguate(groups).items()
    }


def disambiguate(groups: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Suffix that distinguishes groups of one name: nothing, `key=value, ...` or the hash.

    A component of another class is one difference, as in `sampler=greedy_coreset`; settings are
    compared among groups of the same components.
    """
    datasets = [dataset for dataset, _ in groups]
    if len(set(datasets)) == len(datasets):
        return dict.fromkeys(groups, "")
    parts = {group: distinguishing(group, groups) for group in groups}
    suffixes = {group: ", ".join(chain(*found)) for group, found in parts.items()}
    unique = len({(dataset, suffixes[dataset, group]) for dataset, group in groups}) == len(groups)
    if unique and max(len(numbers) for _, numbers in parts.values()) <= MOST:
        return suffixes
    return {(dataset, group): group[-8:] for dataset, group in groups}


def distinguishing(
    group: tuple[str, str], groups: Mapping[tuple[str, str], Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """What distinguishes a group from others: components and numbers.

    Where the others have another component, such as another sampler, `sampler=balance` names it,
    and its numbers are compared with those of the groups that have the same one.
    """
    config, keys = groups[group], differing(groups)
    targets = [key for key in keys if key.endswith(TARGET)]
    outer = [key for key in targets if not key.startswith(tuple(prefixes(targets, but=key)))]
    own = prefixes(outer)
    alike = [c for c in groups.values() if all(c.get(k) == config.get(k) for k in outer)]
    numbers = [
        f"{name_of(key)}={config.get(key)}"
        for key in keys
        if key not in outer
        and not (key.startswith(tuple(own)) and len({str(c.get(key)) for c in alike}) == 1)
    ]
    components = [
        f"{name_of(key.removesuffix(TARGET))}={choice_of(key, config)}"
        for key in outer
        if not key.startswith(HOOKS)
    ]
    hooks = [name_of(k.removesuffix(TARGET)) for k in outer if k.startswith(HOOKS) and k in config]
    components += [f"hooks={'+'.join(hooks)}"] if hooks else []
    return components, numbers


def prefixes(targets: Sequence[str], but: str = "") -> list[str]:
    """The beginnings of all keys of the components whose `_target_` are given."""
    return [key.removesuffix(TARGET) + "." for key in targets if key != but]


def name_of(key: str) -> str:
    """The last part of a key, which a reader knows it by."""
    return key.rpartition(".")[2]


def choice_of(key: str, config: Mapping[str, Any]) -> str:
    """The module of a component, which is named like the choice: `balance`.

    The class where the module only repeats the name of the component: `core.distance.SNR`.
    """
    *_, module, last = f".{config.get(key)}".rsplit(".", 2)
    return last if module in ("", name_of(key.removesuffix(TARGET))) else module


def differing(groups: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[str]:
    """Keys in which two groups of one dataset differ."""
    found: set[str] = set()
    for dataset in {dataset for dataset, _ in groups}:
        configs = [config for (own, _), config in groups.items() if own == dataset]
        keys = set().union(*configs)
        found |= {key for key in keys if len({str(config.get(key)) for config in configs}) > 1}
    return sorted(found)


def scientific(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that can change a result, without seeds: `a.b.c` -> value.

    A run of an earlier version lacks the keys that were added since, which are left out while they
    change nothing.
    """
    return {
        key: value
        for key, value in flat(without_added_keys(config))
        if is_portable(key, value)
        and not f"{key}.".startswith(REPEATED)
        and not key.endswith(".seed")
    }


def flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """The leaves of a configuration under their dotted keys."""
    if isinstance(node, Mapping) and node:
        for name, child in node.items():
            yield from flat(child, f"{key}.{name}".lstrip("."))
    elif isinstance(node, list) and node:
        for index, child in enumerate(node):
            yield from flat(child, f"{key}[{index}]")
    else:
        yield key, node
