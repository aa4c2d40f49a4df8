"""Added keys: what later versions added to a configuration, with the value that changes nothing.

The hash in the name of a run folder leaves out an added key while it has this value, so that a
configuration keeps the folder that earlier versions gave it.
"""

from collections.abc import Mapping
from typing import Any

TOP_LEVEL: Mapping[str, Any] = {  # key of conf/config.yaml: value
    "method": {"_target_": "methods.plain.Plain", "_partial_": True},
}

COMPONENTS: Mapping[str, Mapping[str, Any]] = {  # `_target_`: {key: value}
    "architectures.bninception.bninception": {"head": "linear"},
    "architectures.convnet.convnet": {"head": "linear"},
    "architectures.googlenet.googlenet": {"head": "linear"},
    "architectures.resnet50.resnet50": {"head": "linear"},
    "architectures.timm.timm_model": {"head": "linear"},
    "datasets.csv.csv": {"test_fraction": 0.5, "query_fraction": None, "seed": 0},
}

SETTINGS: Mapping[str, Mapping[str, Any]] = {  # group without a `_target_`: {key: value}
    "trainer": {"features": "trained", "feature_views": 0},
}


def without_added_keys(content: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the added keys that change nothing.

    Args:
        content: plain dictionaries, lists and values of a whole configuration; it is not changed.
    """
    kept = _without(content, TOP_LEVEL)
    for group, added in SETTINGS.items():
        if isinstance(kept.get(group), dict):
            kept[group] = _without(kept[group], added)
    return {key: _component(value) for key, value in kept.items()}


def _component(node: Any) -> Any:  # noqa: ANN401  # plain containers of any depth
    if isinstance(node, list):
        return [_component(item) for item in node]
    if not isinstance(node, dict):
        return node
    added = COMPONENTS.get(str(node.get("_target_")), {})
    return {key: _component(value) for key, value in _without(node, added).items()}


def _without(node: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in node.items()
        if key not in added or type(value) is not type(added[key]) or value != added[key]
    }
