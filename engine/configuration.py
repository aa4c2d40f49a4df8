"""Checks a configuration before anything is read, and names the run it describes.

Whatever is wrong is one line, a `ConfigurationError`: which key or choice, and what would be right.
"""

import difflib
import hashlib
import inspect
import json
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONF = Path(__file__).parent.parent / "conf"
OF_THE_MACHINE = ("workers", "accelerator", "progress")  # trainer keys that change no result


class ConfigurationError(Exception):
    """The configuration asks for something that does not exist or does not fit together."""


def check(config: DictConfig, overrides: Sequence[str]) -> None:
    """Everything that can be known to be wrong without reading data.

    Raises:
        ConfigurationError: a `+key` that no YAML declares, a `_target_` that does not exist or
            does not take the keys given to it, or a loss that cannot use the chosen miner.
    """
    _check_additions(overrides)
    for key, node in _targets(config):
        _check_target(key, node)
    _check_miner(config)


def _check_additions(overrides: Sequence[str]) -> None:
    """`+key=value` may add a group (a folder of conf/), never a key that nothing reads."""
    parser = OverridesParser.create()
    for override in parser.parse_overrides(list(overrides)):
        group = override.key_or_group
        if override.is_add() and not (CONF / group).is_dir() and not group.startswith("hydra"):
            raise ConfigurationError(f"{override.input_line}: no YAML declares the key '{group}'")


def _targets(node: object, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every node with a `_target_`, with its dotted key; interpolated nodes are seen at home."""
    if isinstance(node, ListConfig):
        for index, child in enumerate(node):
            yield from _targets(child, f"{key}[{index}]")
    elif isinstance(node, DictConfig) and not node._is_none():
        if "_target_" in node:
            yield key, node
        for name in map(str, node):
            if not OmegaConf.is_interpolation(node, name) and not OmegaConf.is_missing(node, name):
                yield from _targets(node[name], f"{key}.{name}".lstrip("."))


def _check_target(key: str, node: DictConfig) -> None:
    name = node["_target_"]
    try:
        target = get_object(name)
    except Exception as error:
        raise ConfigurationError(f"{key}._target_: there is no {name} ({_line(error)})") from error
    given = [str(k) for k in node if k not in ("_target_", "_partial_", "_recursive_", "_convert_")]
    accepted = _accepted(target)
    for argument in given:
        if accepted is not None and argument not in accepted:
            raise ConfigurationError(
                f"{key}.{argument}: {name} takes no '{argument}'"
                f"{_suggestion(argument, accepted)}; it takes {', '.join(accepted)}"
            )


def _accepted(target: Callable[..., object] | type) -> list[str] | None:
    """Names of the arguments of a class or function; None if it takes any."""
    if target is types.NoneType:
        return []
    parameters = inspect.signature(target).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters) and not inspect.isfunction(target):
        return None
    return [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def _check_miner(config: DictConfig) -> None:
    miner = config.batchminer["_target_"]
    if miner != "types.NoneType" and not _refers_to_miner(config.loss):
        raise ConfigurationError(
            f"loss {config.loss._target_} compares no tuples and cannot use the batchminer "
            f"{miner}; choose batchminer=none"
        )


def _refers_to_miner(node: object) -> bool:
    """Does any key named `miner` stand below the loss?"""
    if isinstance(node, ListConfig):
        return any(_refers_to_miner(child) for child in node)
    if not isinstance(node, DictConfig):
        return False
    return "miner" in node or any(
        _refers_to_miner(node[name]) for name in node if not OmegaConf.is_missing(node, name)
    )


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
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    parts = [choices["loss"], choices["batchminer"], choices["backbone"]]
    return f"{config.group or '-'.join(part for part in parts if part != 'none')}_{digest}"


def explain(error: Exception) -> str:
    """One line for what Hydra says in several."""
    text = " ".join(_root_cause(error).split())
    for noise in ("To append to your config use", "full_key:", "Set the environment variable"):
        text = text.split(noise)[0].strip()
    return text


def _root_cause(error: BaseException) -> str:
    """Hydra wraps its errors; the innermost message is the one that names the key."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _root_cause(error.__cause__)
    if isinstance(error, OmegaConfBaseException | HydraException) and error.__cause__ is not None:
        return f"{error}".splitlines()[0] + f" {_root_cause(error.__cause__)}"
    return str(error)


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
