"""Start check: checks a run before it starts, without data and without touching a folder."""

import inspect
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, read_write
from torch import nn

from engine.config.check import check
from engine.config.errors import ConfigurationError
from engine.config.selection import check_selection
from engine.config.settings import RunSettings
from engine.config.targets import resolve
from engine.config.trackers import check_trackers
from engine.config.values import RESERVED, Content, check_complete, resolved_content
from engine.config.weights import check_weights
from engine.contracts import check_miner_call, check_sampler_call
from tracking.renamed_targets import NEW_NAMES, old_targets, with_new_targets
from tracking.run_folder import RunFolder

log = logging.getLogger(__name__)


def check_start(
    config: DictConfig, overrides: Sequence[str], folder: RunFolder | None = None
) -> None:
    """Check the configuration of a run on this machine, as far as possible without its data.

    Args:
        folder: of the run; None for one that has not begun.

    Raises:
        ConfigurationError: see `engine.config.check.check`; or the run lacks a key, selects an
            epoch by a metric that it does not measure, has a loss that needs positives and batches
            without any, stores no views that its method compares, freezes or begins with weights
            that its backbone does not have, needs a client of a tracker that is not installed, or
            asks for devices that this machine lacks.
    """
    replace_old_targets(config)
    content = resolved_content(config)
    check_complete(content, RunSettings)
    check(config, overrides)
    check_positives(content)
    check_features(content)
    check_trackers(content["tracker"])
    check_miner_call(resolve(content["batchminer"]["_target_"]) if content["batchminer"] else None)
    check_sampler_call(with_values(content["sampler"]))
    check_optimizer(config)
    check_selection(config)
    resumed = folder is not None and folder.has_checkpoint and not config.force
    check_weights(config, resumed)
    check_devices(config.trainer)


def with_values(node: Content) -> Callable[..., object]:
    """The class or function of a node, with the values of the node as its arguments."""
    values = {name: value for name, value in node.items() if name not in RESERVED}
    return partial(resolve(node["_target_"]), *node.get("_args_", ()), **values)


def replace_old_targets(config: DictConfig) -> None:
    """Replace renamed targets in a configuration by their new names; warns once for each."""
    content = OmegaConf.to_container(config, resolve=False)
    old = old_targets(content)
    for target in old:
        log.warning("_target_ %s is deprecated, write %s", target, NEW_NAMES[target])
    if old:
        with read_write(config):
            config.merge_with(with_new_targets(content))


def check_positives(content: Content) -> None:
    """Check that batches have two samples of a class, or views of an image, for a loss's positives.

    A sampler without `samples_per_class`, such as `random`, is not checked: it may draw positives.
    """
    sampler = content["sampler"]
    if sampler.get("samples_per_class") != 1 or sampler.get("replacement"):
        return
    if needs_positives(content["loss"]) and not has_views(content["method"]):
        raise ConfigurationError(
            f"sampler.samples_per_class=1: {content['loss']['_target_']} needs positives, "
            "samples of one class in the same batch; choose at least 2"
        )


def check_features(content: Content) -> None:
    """Check that stored augmentations are of frozen features, and as many as a method needs.

    Raises:
        ConfigurationError: they are not.
    """
    trainer = content["trainer"]
    views, frozen = trainer["feature_views"], trainer["features"] == "frozen"
    if views and not frozen:
        raise ConfigurationError(
            f"trainer.feature_views={views}: needs trainer.features=frozen; a trained backbone "
            "sees a new augmentation of each image in every epoch"
        )
    if frozen and views < 2 and has_views(content["method"]):
        raise ConfigurationError(
            f"trainer.features=frozen trainer.feature_views={views}: the views of an image that "
            f"{content['method']['_target_']} compares would be equal; choose "
            "trainer.feature_views=8"
        )


def has_views(method: Content) -> bool:
    """Whether a training method has several views of each image, which are positives."""
    declared = getattr(resolve(method["_target_"]), "num_views", 1)
    views = method.get("num_views", declared)
    return not isinstance(views, int) or views > 1


def needs_positives(node: object) -> bool:
    """Whether a loss, or a part of it, learns nothing from a batch without positives.

    The attribute `needs_positives` of a class decides; without it, a loss that takes a miner does.
    """
    if isinstance(node, list):
        return any(map(needs_positives, node))
    if not isinstance(node, dict):
        return False
    parts = list(node.values())
    if "_target_" not in node:
        return needs_positives(parts)
    loss = resolve(node["_target_"])
    declared = getattr(loss, "needs_positives", None)
    if declared is not None:
        return bool(declared)
    return "miner" in inspect.signature(loss).parameters or needs_positives(parts)


def check_optimizer(config: DictConfig) -> None:
    """Build the optimizer to check its values; torch states no ranges in its signatures."""
    try:
        instantiate(config.optimizer)([nn.Parameter(torch.zeros(1))])
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"optimizer: {error}") from error
    except RuntimeError:  # this optimizer does not run on the CPU
        return


# environment variables that torchrun and SLURM set in the processes of several machines
LAUNCHER_VARIABLES = ("MASTER_ADDR", "GROUP_RANK", "NODE_RANK", "SLURM_NTASKS")


def check_devices(trainer: DictConfig) -> None:
    """Check that the devices exist and support the precision; on the CPU, one device per core."""
    if trainer.num_nodes > 1 and not any(name in os.environ for name in LAUNCHER_VARIABLES):
        raise ConfigurationError(
            f"trainer.num_nodes={trainer.num_nodes}: this command was not started on several "
            "machines; start it with torchrun or SLURM, see docs/devices.md, or choose 1"
        )
    # imports torch._dynamo, which takes a second; wrong values are reported before
    from engine.build import build_fabric

    with warnings.catch_warnings():  # lightning replaces float16 on the CPU; it is refused below
        warnings.simplefilter("ignore")
        fabric, cores = build_fabric(trainer), os.cpu_count() or 1
    if fabric.device.type == "cpu" and str(trainer.precision) in ("16", "16-mixed"):
        raise ConfigurationError(
            f"trainer.precision={trainer.precision}: needs a GPU; on the CPU choose 32-true or "
            "bf16-mixed"
        )
    if fabric.device.type == "cpu" and trainer.devices > cores:
        raise ConfigurationError(
            f"trainer.devices={trainer.devices}: on the CPU each is a process, and this machine "
            f"has {cores} cores"
        )
