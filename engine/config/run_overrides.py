"""Portable overrides: the overrides that reproduce a run on any machine."""

from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from engine.config.run_name import MACHINE_KEYS

MACHINE_SPECIFIC = (
    *("seed", "force", "num_classes", "paths", "tracker", "hydra", "dataset.root"),
    *("optimizer.fused",),
    *(f"trainer.{key}" for key in MACHINE_KEYS),
)


def command_line_overrides() -> list[str]:
    """The portable overrides of the running command; none where Hydra did not start the run."""
    if not HydraConfig.initialized():
        return []
    return portable_overrides(HydraConfig.get().overrides.task)


def portable_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides without seed, folders, tracker and other settings of a machine or user.

    The removed overrides do not change the name of a run folder. Secrets are among them, and the
    settings of Hydra itself, which could execute other code.

    Raises:
        OverrideParseException: an override cannot be read.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [str(override.input_line) for override in parsed if _is_portable(override)]


def is_portable(key: str, value: object) -> bool:
    """Whether a setting belongs to a run on every machine and with every seed."""
    if key == "trainer.source":  # only this source rounds differently
        return value == "device"
    return not any(f"{key}.".startswith(f"{left_out}.") for left_out in MACHINE_SPECIFIC)


def _is_portable(override: Override) -> bool:
    key = override.key_or_group.replace("/", ".")
    return is_portable(key, override.value()) and is_portable(override.package or "", None)
