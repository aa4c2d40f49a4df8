"""Checks a configuration before anything is read, and names the run it describes.

Whatever is wrong is one line, a `ConfigurationError`: which key or choice, and what would be right.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from engine.dataset import CSV
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
    """`+key=value` may add a group of files, never a key that nothing reads.

    So may `++key=value`, besides what it changes; below a component, its signature decides.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if is_group(key) or key.startswith("hydra"):
            continue
        parent, _, name = key.rpartition(".")
        known = [str(k) for k in OmegaConf.select(config, parent) or () if k != name]
        root = key.split(".")[0].split("@")[0]
        if override.is_add() or (override.is_force_add() and root not in signature(Run).parameters):
            raise ConfigurationError(
                f"{override.input_line}: no YAML declares the key '{key}'{suggestion(name, known)}"
            )


def is_group(key: str) -> bool:
    """Whether there are files to choose from, in conf/ or where `--config-dir` says."""
    at_work = GlobalHydra.instance()
    elsewhere = at_work.is_initialized() and at_work.config_loader().get_group_options(key)
    return (CONF / key).is_dir() or bool(elsewhere)


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
    if "metric" not in config:
        raise ConfigurationError("metric: is missing; choose at least one, metric=[...]")
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
    if content["dataset"]["_target_"] == CSV:
        content["dataset"].pop("name", None)  # it names the folder above
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    parts = [choices["loss"], choices["batchminer"], choices["backbone"]]
    return f"{config.group or '-'.join(part for part in parts if part != 'none')}_{digest}"
