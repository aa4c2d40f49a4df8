"""Trackers of a configuration: those of `tracker`, checked and built.

The keys of W&B are those of `tracker` itself, such as `tracker.mode`, as they were when it was the
only tracker. Those of another tracker are below its name, such as `tracker.mlflow.uri`.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from engine.config.errors import ConfigurationError
from engine.config.targets import resolve
from engine.config.values import short_text
from tracking.trackers import Trackers

INSTALL = "pip install -r requirements-trackers.txt"


def tracker_nodes(node: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The node of every tracker by its key: `tracker`, `tracker.mlflow`, ...

    Raises:
        ConfigurationError: a key belongs to no tracker.
    """
    if not isinstance(node, Mapping):
        raise ConfigurationError(
            f"tracker={short_text(node)}: must hold choices of conf/tracker/; none has none"
        )
    named = {name: child for name, child in node.items() if _is_tracker(child)}
    own = {name: child for name, child in node.items() if name not in named}
    if own and "_target_" not in own:
        name, value = next(iter(own.items()))
        raise ConfigurationError(
            f"tracker.{name}={short_text(value)}: must be a node whose _target_ is a tracker"
        )
    flat = {"tracker": own} if own else {}
    return flat | {f"tracker.{name}": child for name, child in named.items()}


def check_trackers(node: Mapping[str, Any]) -> None:
    """Check that the clients of all trackers are installed, and that no key holds a password.

    Raises:
        ConfigurationError: names the package that is missing, or the key.
    """
    for key, tracker in tracker_nodes(node).items():
        needs = getattr(resolve(tracker["_target_"], key), "needs", {})
        for module, package in needs.items():
            if find_spec(module) is None:
                raise ConfigurationError(
                    f"{key}: the package {package} is not installed: {INSTALL}"
                )
        for name, value in tracker.items():
            if isinstance(value, str) and "@" in urlsplit(value).netloc:
                raise ConfigurationError(
                    f"{key}.{name}: must not hold a user or password, as a run folder records it; "
                    "the client takes them from the environment, see docs/trackers.md"
                )


def build_trackers(config: DictConfig, folder: Path, name: str | None = None) -> Trackers:
    """Start the trackers of a run.

    Args:
        config: the configuration of the run, which every tracker shows.
        folder: the folder of the run.
        name: name of an evaluation of the run; None is the run itself.
    """
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    nodes = tracker_nodes(content["tracker"]).values()
    return Trackers([instantiate(node)(folder=folder, config=content, name=name) for node in nodes])


def _is_tracker(node: object) -> bool:
    return isinstance(node, dict) and "_target_" in node
