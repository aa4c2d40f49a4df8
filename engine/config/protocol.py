"""Protocol check: lists the settings in which a run deviates from a published study.

A run claims to follow a study by `experiment=roth2020/cub200/margin_b12_distance`, a row of its
table, or by `protocol=roth2020/cub200`, the settings that all rows share; loss and batchminer are
then free.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from engine.config.compose import compose_run
from engine.config.run_overrides import is_portable

UNPINNED_GROUPS = ("loss", "batchminer")  # groups that protocol= does not set
IGNORED_KEYS = (  # besides machine settings; they change no number, or only name a run
    *("group", "validation.index", "evaluation.batch_size", "evaluation.measure.backend"),
    *("evaluation.measure.memory", "trainer.log_every", "trainer.checkpoint_every"),
    "trainer.storage_metrics",
)
ABSENT = "(absent)"
REASONS = {  # the usual reasons why two published numbers do not compare
    "transform.crop": "larger images score higher",
    "backbone": "another network",
    "backbone.embedding_dim": "more dimensions score higher",
    "backbone.batchnorm": "frozen and trained BatchNorm differ by points",
    "backbone.pretrained": "other weights to start from",
    "backbone.model_name": "another network, or other weights",
    "init_from": "other weights to start from",
    "sampler.replacement": "a batch may, or may not, hold an image twice",
    "sampler.batch_size": "larger batches hold more negatives",
    "evaluation.select_on": "another epoch is selected",
    "validation": "other classes train",
    "trainer.epochs": "another length",
    "trainer.iterations": "another length",
}


class Deviation(NamedTuple):
    """One setting that differs: its key, and its values in the protocol and in the run."""

    key: str
    protocol: Any
    run: Any


class ProtocolCheck(NamedTuple):
    """The study that a run claims to follow, and the settings in which it deviates."""

    name: str  # as on the command line, experiment=... or protocol=...
    deviations: list[Deviation]

    def record(self) -> dict[str, Any]:
        """The check as plain JSON, for `environment.json`."""
        differences = {key: {"protocol": a, "run": b} for key, a, b in self.deviations}
        return {"claim": self.name, "differences": differences}


def check_claimed_protocol(config: DictConfig, overrides: Sequence[str]) -> ProtocolCheck | None:
    """The check of the study on the command line; None without `experiment=` and `protocol=`."""
    chosen = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.key_or_group in ("protocol", "experiment"):
            chosen[override.key_or_group] = str(override.value())
    for group in ("experiment", "protocol"):  # an experiment claims more
        if group in chosen:
            return compare(config, overrides, f"{group}={chosen[group]}")
    return None


def compare(config: DictConfig, overrides: Sequence[str], name: str) -> ProtocolCheck:
    """Compare every setting of a run with the study `name`.

    Interpolations are compared unresolved, so that one change is one deviation. An additional or
    missing metric is no deviation.

    Args:
        config: the configuration of the run, not resolved.
        overrides: the overrides that it was composed from.
        name: `experiment=...` or `protocol=...`.
    """
    reference = compose_run([name, *_unpinned(overrides, name)])
    study, run = (OmegaConf.to_container(node, resolve=False) for node in (reference, config))
    return ProtocolCheck(name, deviations(study, run))


def deviations(study: object, run: object) -> list[Deviation]:
    """The settings that differ between two configurations, given as plain dictionaries.

    Settings of the machine and `IGNORED_KEYS` do not count. Another component is one deviation; of
    its arguments only those that both components take are compared.
    """
    return list(_deviations(study, run))


def warn(claim: ProtocolCheck | None) -> None:
    """Print the deviations on standard error; the run starts anyway."""
    if claim and claim.deviations:
        Console(stderr=True).print(table(claim))


def table(claim: ProtocolCheck) -> Table:
    """One row per deviation, with the reason why it may matter."""
    title = f"what differs from {claim.name}"
    grid = Table("setting", "there", "this run", "", title=title, title_justify="left", box=None)
    grid.columns[0].overflow = "fold"
    for key, there, here in claim.deviations:
        grid.add_row(key, _formatted(there), _formatted(here), REASONS.get(key, ""))
    return grid


def _unpinned(overrides: Sequence[str], name: str) -> list[str]:
    """The overrides of groups that `protocol=` does not set."""
    if not name.startswith("protocol="):
        return []
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [
        str(override.input_line)
        for override in parsed
        if override.key_or_group.split(".")[0].split("@")[0] in UNPINNED_GROUPS
    ]


def _deviations(study: object, run: object, key: str = "") -> Iterator[Deviation]:
    machine_specific = not (is_portable(key, study) or is_portable(key, run))
    if key in IGNORED_KEYS or machine_specific or study == run:
        return
    if not (isinstance(study, dict) and isinstance(run, dict)):
        yield Deviation(key, _class_name(study), _class_name(run))
        return
    swapped = study.get("_target_") != run.get("_target_")
    if swapped:
        yield Deviation(key, _class_name(study), _class_name(run))
    for name in {**study, **run}:
        shared = name in study and name in run
        if name == "_target_" or (key == "metric" and not shared):
            continue
        if not swapped or (shared and not isinstance(study[name], dict)):
            path = f"{key}.{name}".lstrip(".")
            yield from _deviations(study.get(name, ABSENT), run.get(name, ABSENT), path)


def _class_name(node: object) -> object:
    """The class name of a component; any other value unchanged."""
    if isinstance(node, dict) and "_target_" in node:
        return str(node["_target_"]).rpartition(".")[2]
    return node


def _formatted(value: object) -> str:
    return "null" if value is None else str(value)
