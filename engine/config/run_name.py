"""Run name: the name of the group folder of a run, which includes a hash of its configuration.

The module does not import torch, so that a finished run is shown quickly.
"""

import hashlib
import json
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from engine.config.added_keys import without_added_keys
from engine.config.dataset import NAMED_BY_PATH
from engine.config.errors import ConfigurationError
from engine.config.init_from import weights_checksum
from engine.config.names import FolderSettings, check_name
from engine.config.values import check_complete, check_values, resolved_content
from tracking.renamed_targets import with_old_targets

CONF = Path(__file__).parents[2] / "conf"
MACHINE_KEYS = (  # trainer keys that change no result
    "workers",
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "cache_gib",
    "compile",
    "progress",
)


def check_folder_keys(config: DictConfig, choices: Mapping[str, Any]) -> None:
    """Check the keys and choices that name the folder of a run.

    Raises:
        ConfigurationError: a key or choice is missing or invalid.
    """
    for group in ("dataset", "loss", "batchminer", "backbone"):
        if choices.get(group) is None:
            raise ConfigurationError(f"{group}: is missing; choose one, {group}=...")
    if "metric" not in config:
        raise ConfigurationError("metric: is missing; choose at least one, metric=[...]")
    content = resolved_content(config)
    check_complete(content, FolderSettings)
    own = [key for key in signature(FolderSettings).parameters if key in content]
    check_values({key: content[key] for key in own}, FolderSettings)
    for group in ("dataset", "optimizer", "trainer"):
        if not isinstance(content.get(group), dict):
            raise ConfigurationError(f"{group}: is missing; a run needs it")
    if "_target_" not in content["dataset"]:
        raise ConfigurationError("dataset._target_: is missing; it names the reader of the dataset")
    if config.group is not None:
        check_name("group", config.group)


def group_name(config: DictConfig, choices: dict[str, str]) -> str:
    """The name `<readable name>_<hash>`; the hash covers all keys that change results, except seed.

    Configurations with the same settings have the same name on every machine, whatever their seed,
    paths, tracker and machine settings; all others have different names. Weights that training
    begins with count by their checksum, wherever `init_from` finds them.
    """
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    copy.merge_with({"seed": 0, "num_classes": 0, "paths": {"data": "", "runs": ""}})
    content = OmegaConf.to_container(copy, resolve=True)
    assert isinstance(content, dict)
    for key in ("seed", "force", "group", "paths", "tracker", "num_classes"):
        content.pop(key, None)
    for key in MACHINE_KEYS:
        content["trainer"].pop(key, None)
    content["optimizer"].pop("fused", None)  # changes only rounding, as does the number of threads
    if content["trainer"].get("source") != "device":  # all other sources read the same pixels
        content["trainer"].pop("source", None)
    if content["dataset"]["_target_"] in NAMED_BY_PATH:
        content["dataset"].pop("name", None)  # the name of the parent folder
    if content.get("init_from"):
        content["init_from"] = weights_checksum(content["init_from"], Path(config.paths.runs))
    content = with_old_targets(without_added_keys(content))  # type: ignore[arg-type]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    parts = [choices[group] for group in ("loss", "batchminer", "backbone")]
    parts.append(choices.get("method", "plain"))
    readable = "-".join(part for part in parts if part not in ("none", "plain"))
    return f"{config.group or readable}_{digest}"
