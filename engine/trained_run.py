"""Trained run: loads its backbone and the configuration to evaluate it with, from its folder."""

import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from torch import nn

from core.errors import UserError
from core.files import DamagedFileError
from engine.build import backbone_of, build_method
from engine.checkpoint import CheckpointError, read_checkpoint
from engine.config.added_keys import with_added_keys
from engine.config.allowed_targets import check_targets
from engine.config.compose import compose_run
from engine.config.errors import ConfigurationError, suggestion
from engine.config.run_name import CONF
from engine.state_mismatch import state_mismatch
from tracking.run_files import GROUPS, read_config
from tracking.run_folder import RESTORE, RunFolder

NEEDED_GROUPS = {"backbone", "dataset", "evaluation", "metric", "paths", "trainer"}


class NoRunError(UserError):
    """There is no run at a path, or it has no checkpoint."""


class TrainedRun(NamedTuple):
    """A run folder and one of its checkpoints; both exist."""

    folder: Path
    checkpoint: Path


class Weights(NamedTuple):
    """Parameters and buffers of a backbone, the optimizer step and the checkpoint file."""

    model: dict[str, Any]
    step: int
    checkpoint: Path | None = None


def find_run(path: Path) -> TrainedRun:
    """Find the run at a path: a run folder, with its last checkpoint, or a checkpoint file.

    Raises:
        NoRunError: there is no such path, no run, or no checkpoint.
    """
    path = path.expanduser().resolve()
    if not path.exists():
        raise NoRunError(
            f"{path} does not exist; run= names a run folder, runs/<dataset>/<group>/seed<k>, "
            "or a checkpoint in it"
        )
    folder = path if path.is_dir() else path.parent.parent
    checkpoint = path / "checkpoints" / "last.pt" if path.is_dir() else path
    if not (folder / "config.yaml").is_file():
        runs = sorted(config.parent for config in folder.glob("*/config.yaml"))
        similar = f", did you mean {runs[0]}?" if runs else ""
        raise NoRunError(f"{folder} is no run folder: it has no config.yaml{similar}")
    if not checkpoint.exists():
        raise NoRunError(f"{folder} has no checkpoints/last.pt: the run has not evaluated yet")
    return TrainedRun(folder, checkpoint)


def load_config(
    folder: Path, trusted: Sequence[str] = (), needed: Set[str] = frozenset()
) -> DictConfig:
    """Load the configuration of a run and check its targets.

    Args:
        folder: the folder of the run, which may come from an untrusted source.
        trusted: packages besides this project whose objects the configuration may build.
        needed: groups that the configuration must have.

    Raises:
        DamagedFileError: the file is not what the run wrote, or is no configuration.
        ConfigurationError: a `_target_` is in a package that is not trusted.
    """
    path = folder / "config.yaml"
    RunFolder(folder).verify(path)
    config = OmegaConf.create(read_config(path))
    if missing := sorted({"seed", *needed} - config.keys()):
        raise DamagedFileError(f"{path} is damaged (it has no {missing[0]}); {RESTORE}")
    try:
        check_targets(OmegaConf.to_container(config, resolve=False), trusted)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return config


def load_weights(checkpoint: Path) -> Weights:
    """Load the weights of the backbone from `last.pt` or `best_<metric>.pt`.

    They are those that the run evaluated, as an average of the weights where a hook has one.

    Raises:
        CheckpointError: the file is damaged, or no checkpoint of a run.
    """
    content = read_checkpoint(checkpoint)
    try:
        step = content["step"] if "step" in content else content["position"][0]
        parts = content["parts"]
        return Weights(parts.get("evaluated_model", parts["model"]), int(step), checkpoint)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{checkpoint} is no checkpoint of a run") from error


class TrainedModel(NamedTuple):
    """The embedder of a run, and the dimensions of its embeddings that are also evaluated alone."""

    embedder: nn.Module
    parts: Mapping[str, slice]


def load_model(config: DictConfig, trained: Weights) -> TrainedModel:
    """Build the embedder of a run with its trained weights; downloads no pretrained weights.

    Raises:
        CheckpointError: the weights are of another backbone.
    """
    backbone = backbone_of(config, pretrained=False)
    method = build_method(config, backbone)
    embedder = method.embedder(backbone)
    if reason := state_mismatch(embedder, trained.model):
        checkpoint = f"the checkpoint {trained.checkpoint or ''}".strip()
        raise CheckpointError(
            f"{checkpoint} does not fit {config.backbone._target_} as configured: {reason}"
        )
    embedder.load_state_dict(trained.model)
    return TrainedModel(embedder, method.parts)


def load_backbone(config: DictConfig, trained: Weights) -> nn.Module:
    """The embedder of `load_model`."""
    return load_model(config, trained).embedder


def evaluation_config(
    config: DictConfig, overrides: Sequence[str], recorded_data: bool = False
) -> DictConfig:
    """The configuration of a run on this machine, with overrides applied.

    A choice, such as `dataset=cub200` or `metric=[recall,nmi]`, replaces the group of the run by
    that of conf/ and changes no other group. Any other override, such as
    `evaluation.measure.distance=euclidean`, changes one value. The datasets are in `DML_DATA`, if
    it is set; device and number of workers are chosen for this machine.

    Args:
        config: configuration of the run, with the keys of the command, such as conf/evaluate.yaml.
        recorded_data: read the datasets from the folder that the run read, if it exists here,
            even if `DML_DATA` is set.

    Raises:
        ConfigurationError: the run lacks a group of settings, or an override is invalid.
    """
    lacking = [name for name in GROUPS if name not in config]
    if lacking:
        raise ConfigurationError(f"the run's config.yaml lacks {', '.join(lacking)}")
    config = _for_this_machine(_with_added_keys(config), recorded_data)
    return with_overrides(config, overrides)


def with_overrides(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A configuration with overrides applied; see `evaluation_config`.

    Raises:
        ConfigurationError: an override is invalid.
    """
    OmegaConf.set_struct(config, True)
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    for override in parsed:
        if override.is_add() or override.is_delete() or override.is_sweep_override():
            raise ConfigurationError(f"{override.input_line}: only key=value can be overridden")
    choices = [override for override in parsed if _is_choice(override, config)]
    if choices:
        lines = [str(override.input_line) for override in choices]
        composed = compose_run(lines)
        for override in choices:
            config[override.key_or_group] = composed[override.key_or_group]
    for override in parsed:
        if override not in choices:
            _set(config, override)
    return config


def _set(config: DictConfig, override: Override) -> None:
    parent, _, name = override.key_or_group.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    known = [str(key) for key in node] if isinstance(node, DictConfig) else []
    if name not in known:
        raise ConfigurationError(
            f"{override.input_line}: neither the run nor this command has the key "
            f"'{override.key_or_group}'{suggestion(name, known)}"
        )
    OmegaConf.update(config, override.key_or_group, override.value())


def _is_choice(override: Override, config: DictConfig) -> bool:
    return override.key_or_group in config and (CONF / override.key_or_group).is_dir()


def _with_added_keys(config: DictConfig) -> DictConfig:
    """The configuration with the keys that were added since the run was recorded."""
    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    return OmegaConf.create(with_added_keys({str(key): value for key, value in content.items()}))


def _for_this_machine(config: DictConfig, recorded_data: bool) -> DictConfig:
    """Restore resolved interpolations, and reset the machine settings to their defaults."""
    config = config.copy()
    if config.dataset.get("root") == config.paths.data and "root" in config.dataset:
        config.dataset.root = "${paths.data}"
    if config.evaluation.measure.metrics == config.metric:
        config.evaluation.measure.metrics = "${metric}"
    if not (recorded_data and config.paths.data and Path(config.paths.data).is_dir()):
        config.paths.data = os.environ.get("DML_DATA") or config.paths.data
    config.trainer.accelerator = config.trainer.workers = config.trainer.strategy = "auto"
    config.trainer.devices = config.trainer.num_nodes = 1
    return config
