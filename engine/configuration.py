"""Checks a configuration before anything is read, and names the run it describes.

Whatever is wrong is one line, a `ConfigurationError`: which key or choice, and what would be right.
"""

import hashlib
import inspect
import json
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pydoc import locate
from typing import Literal, Union, get_args, get_origin, get_type_hints

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, OmegaConf

from engine.dataset import CSV
from engine.errors import ConfigurationError as ConfigurationError
from engine.errors import suggestion as suggestion

CONF = Path(__file__).parent.parent / "conf"
INTEGERS = (
    "epochs",
    "iterations",
    "evaluate_every_epochs",
    "evaluate_every_iterations",
    "patience",
    "log_every",
    "checkpoint_every",
)
OF_THE_MACHINE = (  # trainer keys that change no result
    "workers",
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "cache_gib",
    "compile",
)


def check(config: DictConfig, overrides: Sequence[str]) -> None:
    """Everything that can be known to be wrong without reading data.

    Raises:
        ConfigurationError: a `+key` that no YAML declares, a `_target_` that does not exist or
            does not take the keys and choices given to it, or a loss that cannot use the miner.
    """
    _check_additions(config, overrides)
    _check_integers(config)
    for key, node in _targets(config):
        _check_target(key, node)
    _check_miner(config)


def _check_additions(config: DictConfig, overrides: Sequence[str]) -> None:
    """`+key=value` may add a group of files, never a key that nothing reads."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if override.is_add() and not is_group(key) and not key.startswith("hydra"):
            parent, _, name = key.rpartition(".")
            known = [str(k) for k in OmegaConf.select(config, parent) or () if k != name]
            raise ConfigurationError(
                f"{override.input_line}: no YAML declares the key '{key}'{suggestion(name, known)}"
            )


def is_group(key: str) -> bool:
    """Whether there are files to choose from, in conf/ or where `--config-dir` says."""
    at_work = GlobalHydra.instance()
    elsewhere = at_work.is_initialized() and at_work.config_loader().get_group_options(key)
    return (CONF / key).is_dir() or bool(elsewhere)


def _check_integers(config: DictConfig) -> None:
    for key in ("seed", *(f"trainer.{name}" for name in INTEGERS)):
        value = OmegaConf.select(config, key)
        if value is not None and not isinstance(value, int):
            raise ConfigurationError(f"{key}={value}: must be a whole number")


def _targets(node: object, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every node with a `_target_`, with its dotted key; interpolated nodes are seen at home."""
    if isinstance(node, ListConfig):
        for index in range(len(node)):
            yield from _targets(node[index], f"{key}[{index}]")
    elif isinstance(node, DictConfig) and not node._is_none():
        if "_target_" in node:
            yield key, node
        for name in _own_keys(node):
            yield from _targets(node[name], f"{key}.{name}".lstrip("."))


def _own_keys(node: DictConfig) -> list[str]:
    """Keys whose values stand here: neither missing nor interpolated from elsewhere."""
    return [
        str(name)
        for name in node
        if not OmegaConf.is_interpolation(node, str(name)) and not OmegaConf.is_missing(node, name)
    ]


def _check_target(key: str, node: DictConfig) -> None:
    name = node["_target_"]
    target = locate(name)
    if target is None:
        raise ConfigurationError(f"{key}._target_: there is no {name}")
    if target is types.NoneType:
        return
    accepted = inspect.signature(target).parameters  # type: ignore[arg-type]
    for argument in map(str, node):
        if argument in ("_target_", "_partial_", "_recursive_", "_convert_", "_args_"):
            continue
        if argument not in accepted and not _takes_any(accepted):
            raise ConfigurationError(
                f"{key}.{argument}: {name} takes no '{argument}'"
                f"{suggestion(argument, accepted)}; it takes {', '.join(accepted)}"
            )
    _check_choices(key, node, target)


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def _check_choices(key: str, node: DictConfig, target: object) -> None:
    """An argument annotated as `Literal["a", "b"]` must be one of these."""
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for argument in _own_keys(node):
        choices = [choice for hint in _members(hints.get(argument)) for choice in get_args(hint)]
        value = node[argument]
        if choices and value not in choices and value is not None:
            known = [str(choice) for choice in choices]
            raise ConfigurationError(
                f"{key}.{argument}={value}: must be one of {', '.join(known)}"
                f"{suggestion(str(value), known)}"
            )


def _members(hint: object) -> list[object]:
    """The Literals of a type hint, alone or in a union."""
    hints = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else [hint]
    return [member for member in hints if get_origin(member) is Literal]


def _check_miner(config: DictConfig) -> None:
    miner = config.batchminer["_target_"]
    if miner != "types.NoneType" and not _refers_to_miner(config.loss, config.batchminer):
        raise ConfigurationError(
            f"loss {config.loss._target_} compares no tuples and cannot use the batchminer "
            f"{miner}; choose batchminer=none"
        )


def _refers_to_miner(loss: DictConfig, miner: DictConfig) -> bool:
    """Does the batchminer of the run stand anywhere below the loss?

    By its name, or, in the configuration of a finished run, in full.
    """
    named = "${batchminer}" in OmegaConf.to_yaml(loss)
    return named or any(part == miner for _, part in _targets(loss))


def group_name(config: DictConfig, choices: dict[str, str]) -> str:
    """`<readable name>_<hash>`; the hash covers whatever can change a result, but the seed.

    Two configurations that differ in anything but seed, paths, tracker and machine never share
    a name, and the same one has the same name on every machine.
    """
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    copy.merge_with({"seed": 0, "num_classes": 0, "paths": {"data": "", "runs": ""}})
    content = OmegaConf.to_container(copy, resolve=True)
    assert isinstance(content, dict)
    for key in ("seed", "force", "group", "paths", "tracker", "num_classes"):
        content.pop(key)
    for key in OF_THE_MACHINE:
        content["trainer"].pop(key, None)
    content["optimizer"].pop("fused", None)  # as the number of threads: only what is rounded away
    if content["trainer"]["source"] != "device":  # all others read the same pixels
        content["trainer"].pop("source")
    if content["dataset"]["_target_"] == CSV:
        content["dataset"].pop("name", None)  # it names the folder above
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    parts = [choices["loss"], choices["batchminer"], choices["backbone"]]
    return f"{config.group or '-'.join(part for part in parts if part != 'none')}_{digest}"
