"""Checks a configuration before anything is read, and names the run it describes.

Whatever is wrong is one line, a `ConfigurationError`: which key or choice, and what would be right.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from core.errors import UserError
from engine.errors import ConfigurationError as ConfigurationError
from engine.errors import suggestion as suggestion
from engine.names import check_name
from engine.settings import Run
from engine.values import Content, check_complete, check_values, content_of

CONF = Path(__file__).parent.parent / "conf"
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
        ConfigurationError: a `+key` that no YAML declares, a value that its signature does not
            take, see `engine.values`, or a loss that cannot use the miner.
    """
    _check_additions(config, overrides)
    content = content_of(config)
    check_values(content)
    _check_miner(content)


def _check_additions(config: DictConfig, overrides: Sequence[str]) -> None:
    """`+key=value` may add a group (a folder of conf/), never a key that nothing reads.

    So may `++key=value`, besides what it changes; below a component, its signature decides.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if (CONF / key).is_dir() or key.startswith("hydra"):
            continue
        parent, _, name = key.rpartition(".")
        known = [str(k) for k in OmegaConf.select(config, parent) or () if k != name]
        root = key.split(".")[0].split("@")[0]
        if override.is_add() or (override.is_force_add() and root not in signature(Run).parameters):
            raise ConfigurationError(
                f"{override.input_line}: no YAML declares the key '{key}'{suggestion(name, known)}"
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
    """Every node with a `_target_`, from the outermost on."""
    if isinstance(node, list):
        for item in node:
            yield from components(item)
    elif isinstance(node, dict):
        if "_target_" in node:
            yield node
        yield from components(list(node.values()))


def check_place(config: DictConfig, choices: Mapping[str, Any]) -> None:
    """What names the folder of a run: the choices of some groups, its seed, group and paths.

    Raises:
        ConfigurationError: one of them is missing, or no name of a folder.
    """
    for group in ("dataset", "loss", "batchminer", "backbone"):
        if choices.get(group) is None:
            raise ConfigurationError(f"{group}: is missing; choose one, {group}=...")
    content = content_of(config)
    check_complete(content)
    check_values({key: content[key] for key in ("seed", "group", "paths")})
    if config.group is not None:
        check_name("group", config.group)


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
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    parts = [choices["loss"], choices["batchminer"], choices["backbone"]]
    return f"{config.group or '-'.join(part for part in parts if part != 'none')}_{digest}"


EXPLAINED = (UserError, HydraException, OmegaConfBaseException, ValueError, OSError)


@contextmanager
def explained() -> Iterator[None]:
    """End the process with one line, `error: ...`, where the user can mend what went wrong."""
    try:
        yield
    except EXPLAINED as error:
        said = f"error: {explain(error)}"
        if isinstance(error, UserError) and error.exit_code != UserError.exit_code:
            sys.stderr.write(f"{said}\n")
            raise SystemExit(error.exit_code) from error
        raise SystemExit(said) from error


def explain(error: Exception) -> str:
    """One line for what Hydra says in several."""
    message = _root_cause(error)
    if "Original Traceback" in message:  # of a loader's worker; its last line is the error
        message = message.strip().splitlines()[-1].split(": ", 1)[-1]
    text = " ".join(message.split())
    for noise in ("To append to your config use", "full_key:", "Config search path:"):
        text = text.split(noise)[0].strip()
    return _with_suggestion(text) + _meant(error)


def _meant(error: BaseException) -> str:
    """Where a key is not in the configuration, the one beside it that was probably meant."""
    while error.__cause__ is not None:
        error = error.__cause__
    if not isinstance(error, ConfigKeyError | ConfigAttributeError):
        return ""
    beside = error.parent_node
    known = map(str, beside) if isinstance(beside, DictConfig) else ()
    return suggestion(str(error.key), known)


def _with_suggestion(text: str) -> str:
    """After a choice that does not exist, the one that was probably meant."""
    found = re.fullmatch(r"(.*Could not (?:find|load) '([^/']+)/([^']+)')\.?( Available .*)?", text)
    if not found:
        return text
    what, group, name, options = found.groups()
    files = (CONF / group).rglob("*.yaml")
    known = [file.relative_to(CONF / group).with_suffix("").as_posix() for file in files]
    known += (options or "").split()
    return f"{what}{suggestion(name, known)}{options or ''}"


def _root_cause(error: BaseException) -> str:
    """Hydra wraps its errors; the innermost message is the one that names the key."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _root_cause(error.__cause__)
    if isinstance(error, OmegaConfBaseException | HydraException) and error.__cause__ is not None:
        return " ".join([*f"{error}".splitlines()[:1], _root_cause(error.__cause__)])
    return str(error)
