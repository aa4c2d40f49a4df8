"""Hooks of a configuration: builds and checks those of `hooks`, and that of `trainer.patience`."""

from collections import Counter
from collections.abc import Mapping

from hydra.utils import instantiate
from omegaconf import DictConfig

from engine.config.errors import ConfigurationError
from engine.contracts import check_hook
from engine.hooks.early_stopping import EarlyStopping
from engine.hooks.hook import Hook
from engine.hooks.weights_hook import WeightsHook
from tracking.summary import Directions

PATIENCE = "trainer.patience"  # early stopping on `evaluation.select_on`, without a node of its own


def build_hooks(config: DictConfig) -> dict[str, Hook]:
    """The hooks of a run by their keys, such as `hooks.ema`.

    Raises:
        ConfigurationError: a node names no class, or two hooks evaluate their weights under one
            name or instead of the weights in training.
        ComponentError: an object is no hook, see `engine.contracts.check_hook`.
    """
    hooks: dict[str, Hook] = {}
    for name, node in (config.get("hooks") or {}).items():
        if not (isinstance(node, DictConfig) and "_target_" in node):
            raise ConfigurationError(
                f"hooks.{name}={node}: must be a node whose _target_ is a hook"
            )
        hook = instantiate(node, _convert_="all")
        check_hook(hook, f"hooks.{name}")
        hooks[f"hooks.{name}"] = hook
    _check_weights(hooks)
    if config.trainer.patience is not None:
        select_on = config.evaluation.select_on
        hooks[PATIENCE] = EarlyStopping(select_on, config.trainer.patience)
    return hooks


def with_weights_beside(directions: Directions, hooks: Mapping[str, Hook]) -> Directions:
    """The directions of all metrics, for the weights in training and for those beside."""
    beside = [hook for hook in _weights_hooks(hooks) if hook.is_beside]
    named = [hook.directions(directions) for hook in beside]
    return {name: better for one in (directions, *named) for name, better in one.items()}


def without_weights(metric: str, hooks: Mapping[str, Hook]) -> str:
    """`recall@1` of a metric `<name>/recall@1` of weights beside; any other metric unchanged."""
    prefixes = [f"{hook.name}/" for hook in _weights_hooks(hooks) if hook.is_beside]
    return next((metric.removeprefix(one) for one in prefixes if metric.startswith(one)), metric)


def _weights_hooks(hooks: Mapping[str, Hook]) -> list[WeightsHook]:
    return [hook for hook in hooks.values() if isinstance(hook, WeightsHook)]


def _check_weights(hooks: Mapping[str, Hook]) -> None:
    names = Counter(hook.name if hook.is_beside else None for hook in _weights_hooks(hooks))
    for name in (name for name, number in names.items() if number > 1):
        keys = ", ".join(key for key, hook in hooks.items() if isinstance(hook, WeightsHook))
        reason = "evaluate instead of" if name is None else f"have the name {name} beside"
        raise ConfigurationError(
            f"{keys}: two of them {reason} the weights in training; give each another name"
        )
