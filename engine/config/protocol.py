"""Which settings of a run differ from the published study that it claims to follow.

A run claims a study by `experiment=roth2020/cub200/margin_b12_distance`, one of its rows, or by
`protocol=roth2020/cub200`, all that its rows share; the latter leaves loss and batchminer open.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from engine.config.compose import compose_run
from engine.config.run_overrides import is_portable

UNPINNED_GROUPS = ("loss", "batchminer")  # what protocol= leaves to the run
IGNORED_KEYS = (  # besides machine settings; they change no number, or only tell runs apart
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
    "sampler.replacement": "a batch may, or may not, hold an image twice",
    "sampler.batch_size": "larger batches hold more negatives",
    "evaluation.select_on": "another epoch is selected",
    "validation": "other classes train",
    "trainer.epochs": "another length",
    "trainer.iterations": "another length",
}


class Deviation(NamedTuple):
    """One setting, as the study has it and as the run has it."""

    key: str
    protocol: Any
    run: Any


class ProtocolCheck(NamedTuple):
    """What a run claims to follow, and where it does not."""

    name: str  # as on the command line, experiment=... or protocol=...
    differences: list[Deviation]

    def record(self) -> dict[str, Any]:
        """Plain JSON, for the run folder."""
        differences = {key: {"protocol": a, "run": b} for key, a, b in self.differences}
        return {"claim": self.name, "differences": differences}


def check_claimed_protocol(config: DictConfig, overrides: Sequence[str]) -> ProtocolCheck | None:
    """What the command line claims; None without `experiment=` and `protocol=`."""
    chosen = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.key_or_group in ("protocol", "experiment"):
            chosen[override.key_or_group] = str(override.value())
    for group in ("experiment", "protocol"):  # an experiment claims more
        if group in chosen:
            return compare(config, overrides, f"{group}={chosen[group]}")
    return None


def compare(config: DictConfig, overrides: Sequence[str], name: str) -> ProtocolCheck:
    """The configuration of a run next to that of the study `name`, setting by setting.

    Interpolations are compared as they stand, so that one change is one difference. A metric more
    or less is none.

    Args:
        config: of the run, not resolved.
        overrides: that made it.
        name: `experiment=...` or `protocol=...`.
    """
    reference = compose_run([name, *_left_open(overrides, name)])
    study, run = (OmegaConf.to_container(node, resolve=False) for node in (reference, config))
    return ProtocolCheck(name, differences(study, run))


def differences(study: object, run: object) -> list[Deviation]:
    """Between two configurations as plain dictionaries, but for what is free.

    Where another thing stands, it is one difference; only what both things take adds to it.
    """
    return list(_differences(study, run))


def warn(claim: ProtocolCheck | None) -> None:
    """Say before the run what it does otherwise; it runs all the same."""
    if claim and claim.differences:
        Console(stderr=True).print(table(claim))


def table(claim: ProtocolCheck) -> Table:
    """Every difference on a line, with the reason why it may matter."""
    title = f"what differs from {claim.name}"
    grid = Table("setting", "there", "this run", "", title=title, title_justify="left", box=None)
    grid.columns[0].overflow = "fold"
    for key, there, here in claim.differences:
        grid.add_row(key, _shown(there), _shown(here), REASONS.get(key, ""))
    return grid


def _left_open(overrides: Sequence[str], name: str) -> list[str]:
    """The overrides that the study has no opinion on."""
    if not name.startswith("protocol="):
        return []
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [
        str(override.input_line)
        for override in parsed
        if override.key_or_group.split(".")[0].split("@")[0] in UNPINNED_GROUPS
    ]


def _differences(study: object, run: object, key: str = "") -> Iterator[Deviation]:
    of_the_machine = not (is_portable(key, study) or is_portable(key, run))
    if key in IGNORED_KEYS or of_the_machine or study == run:
        return
    if not (isinstance(study, dict) and isinstance(run, dict)):
        yield Deviation(key, _named(study), _named(run))
        return
    swapped = study.get("_target_") != run.get("_target_")
    if swapped:
        yield Deviation(key, _named(study), _named(run))
    for name in {**study, **run}:
        shared = name in study and name in run
        if name == "_target_" or (key == "metric" and not shared):
            continue
        if not swapped or (shared and not isinstance(study[name], dict)):
            path = f"{key}.{name}".lstrip(".")
            yield from _differences(study.get(name, ABSENT), run.get(name, ABSENT), path)


def _named(node: object) -> object:
    """A thing by its name, anything else as it is."""
    if isinstance(node, dict) and "_target_" in node:
        return str(node["_target_"]).rpartition(".")[2]
    return node


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
