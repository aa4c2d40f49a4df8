"""The overrides of a run that make it again on any machine."""

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
    """The overrides without seed, folders, tracker and whatever else is up to a machine or user.

    None of those left out is part of the name of a run folder. Secrets and settings of Hydra
    itself, with which a foreign run could start other code, are left out with them.

    Raises:
        OverrideParseException: an override cannot be read.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [str(override.input_line) for override in parsed if _is_portable(override)]


def is_portable(key: str, value: object) -> bool:
    """Whether a setting is the same for a run on every machine and for every seed."""
    if key == "trainer.source":  # of all sources, only the device rounds differently
        return value == "device"
    return not any(f"{key}.".startswith(f"{left_out}.") for left_out in MACHINE_SPECIFIC)


def _is_portable(override: Override) -> bool:
    key = override.key_or_group.replace("/", ".")
    return is_portable(key, override.value()) and is_portable(override.package or "", None)
