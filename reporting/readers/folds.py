"""Reader of cross-validated runs: seed -> fold -> run folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from core.errors import UserError
from core.files import DamagedFileError
from engine.config.errors import ConfigurationError
from engine.config.protocol import deviations
from engine.trained_run import load_config
from tracking.run_folder import RunFolder

Folds = dict[int, Path]  # index of the fold -> run folder
VARYING = ("seed", "num_classes", "num_clusters")  # keys that a fold or a seed changes


def folds_by_seed(groups: Sequence[Path], trusted: Sequence[str] = ()) -> dict[int, Folds]:
    """Finds the finished runs of these groups: seed -> fold -> run folder.

    A seed with a damaged run, or with a run that builds objects of packages that are not trusted,
    is left out; stderr names it.

    Raises:
        UserError: a fold is missing or occurs twice, or the configurations differ.
    """
    found: dict[int, Folds] = {}
    configs, left_out = read_configurations(groups, trusted)
    for run, config in configs.items():
        first = next(iter(configs))
        if "folds" not in (config.get("validation") or {}):
            raise UserError(f"{run} has no folds; train with validation=fold or musgrave")
        if other := deviations(shared_settings(configs[first]), shared_settings(config)):
            changed = ", ".join(difference.key for difference in other)
            raise UserError(f"{run} is another configuration than {first}: {changed}")
        folds = found.setdefault(config.seed, {})
        if config.validation.index in folds:
            raise UserError(f"fold {config.validation.index} is there twice, the second in {run}")
        folds[config.validation.index] = run
    found = {seed: folds for seed, folds in sorted(found.items()) if f"seed{seed}" not in left_out}
    if not found:
        raise UserError(f"no finished run in {', '.join(map(str, groups))}")
    for seed, folds in found.items():
        missing = sorted(set(range(config.validation.folds)) - set(folds))
        if missing:
            raise UserError(f"seed {seed} lacks fold {', '.join(map(str, missing))}")
    return found


def read_configurations(
    groups: Sequence[Path], trusted: Sequence[str]
) -> tuple[dict[Path, DictConfig], set[str]]:
    """Configuration of every finished run, and the names of the folders that cannot be read."""
    configs, left_out = {}, set()
    for run in sorted(run for group in groups for run in group.glob("seed*")):
        try:
            if RunFolder(run).finished:
                configs[run] = load_config(run, trusted)
        except (DamagedFileError, ConfigurationError) as error:
            print(f"left out: {run.name}, for {error}", file=sys.stderr)
            left_out.add(run.name)
    return configs, left_out


def shared_settings(node: object) -> object:
    """Configuration without the keys that a fold or a seed changes, at any depth."""
    if isinstance(node, DictConfig):
        node = OmegaConf.to_container(node)
    if not isinstance(node, dict):
        return node
    return {key: shared_settings(value) for key, value in node.items() if key not in VARYING}
