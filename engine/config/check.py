"""Check of a configuration, before any data are read.

A mistake raises a `ConfigurationError` of one line: which key or choice is wrong, and what would be
right.
"""

from collections.abc import Iterator, Sequence
from inspect import signature

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from engine.config.errors import ConfigurationError, suggestion
from engine.config.run_name import CONF
from engine.config.settings import RunSettings
from engine.config.trackers import tracker_nodes
from engine.config.values import Content, check_values, resolved_content


def check(config: DictConfig, overrides: Sequence[str]) -> None:
    """Check keys, values and the choice of a miner, as far as possible without data.

    Raises:
        ConfigurationError: a `+key` is declared by no YAML, a value does not fit the signature
            that it is passed to, see `engine.config.values`, or the loss cannot use the miner.
    """
    _check_additions(config, overrides)
    content = resolved_content(config)
    _check_metrics(content)
    trackers = tracker_nodes(content.pop("tracker", {}))
    check_values({**content, **trackers}, RunSettings)
    _check_miner(content)


def _check_additions(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a `+key=value` that adds a key which nothing reads; it may add a group or a hook.

    `++key=value` may change a key, too. Below a component, `check_values` checks the new key.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if is_group(key) or key.startswith(("hydra", "hooks.")):
            continue
        parent, _, name = key.rpartition(".")
        beside = OmegaConf.select(config, parent)  # a number, where a later override says so
        known = [str(k) for k in beside if k != name] if OmegaConf.is_dict(beside) else []
        root = key.split(".")[0].split("@")[0]
        if override.is_add() or (
            override.is_force_add() and root not in signature(RunSettings).parameters
        ):
            raise ConfigurationError(
                f"{override.input_line}: no YAML declares the key '{key}'{suggestion(name, known)}"
            )


def is_group(key: str) -> bool:
    """Whether the key is a group of files, in conf/ or in the folder of `--config-dir`."""
    hydra = GlobalHydra.instance()
    options = hydra.is_initialized() and hydra.config_loader().get_group_options(key)
    return (CONF / key).is_dir() or bool(options)


def _check_metrics(content: Content) -> None:
    metrics = content.get("metric")
    if isinstance(metrics, dict) and isinstance(metrics.get("_target_"), str):
        raise ConfigurationError(
            f"metric: {metrics['_target_']} has no name; a YAML of conf/metric says "
            "name: {_target_: ..., _partial_: true}"
        )


def _check_miner(content: Content) -> None:
    loss, miner = content.get("loss"), content.get("batchminer")
    if not loss or not miner or miner["_target_"] == "types.NoneType":
        return
    if not any(part == miner for part in components(loss)):
        raise ConfigurationError(
            f"loss {loss['_target_']} compares no tuples and cannot use the batchminer "
            f"{miner['_target_']}; choose batchminer=none"
        )


def components(node: object) -> Iterator[Content]:
    """Every node with a `_target_`, outer nodes before inner ones."""
    if isinstance(node, list):
        for item in node:
            yield from components(item)
    elif isinstance(node, dict):
        if "_target_" in node:
            yield node
        yield from components(list(node.values()))
