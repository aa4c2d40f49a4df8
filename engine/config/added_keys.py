"""Added keys: what later versions added to a configuration, with the value that changes nothing.

The hash in the name of a run folder leaves out an added key while it has this value, so that a
configuration keeps the folder that earlier versions gave it.
"""

from collections.abc import Mapping
from typing import Any

TOP_LEVEL: Mapping[str, Any] = {  # key of conf/config.yaml: value
    "method": {"_target_": "methods.plain.Plain", "_partial_": True},
}

EUCLIDEAN = {"_target_": "core.distance.Lp"}
COSINE = {"_target_": "core.distance.Cosine"}
SQUARED = {"_target_": "core.distance.Lp", "power": 2}

COMPONENTS: Mapping[str, Mapping[str, Any]] = {  # `_target_`: {key: value}
    "batch_mining.angular.AngularMiner": {"distance": {**SQUARED, "normalize": True}},
    "batch_mining.multisimilarity.MultiSimilarityMiner": {"distance": COSINE},
    "batch_mining.pads.PADSMiner": {"distance": EUCLIDEAN},
    "batch_mining.parametric.ParametricMiner": {"distance": EUCLIDEAN},
    "batch_mining.semihard.SemiHardMiner": {"distance": EUCLIDEAN},
    "batch_mining.softhard.SoftHardMiner": {"distance": EUCLIDEAN},
    "criteria.circle.Circle": {"distance": COSINE},
    "criteria.dynamic_soft_margin.DynamicSoftMargin": {"distance": EUCLIDEAN},
    "criteria.fastap.FastAP": {"distance": SQUARED},
    "criteria.histogram.Histogram": {"distance": COSINE},
    "criteria.intra_pair_variance.IntraPairVariance": {"distance": COSINE},
    "criteria.margin.Margin": {"distance": EUCLIDEAN},
    "criteria.multisimilarity.MultiSimilarity": {"distance": COSINE},
    "criteria.pnp.PNP": {"distance": COSINE},
    "criteria.recall_at_k.RecallAtK": {"distance": COSINE},
    "criteria.smoothap.SmoothAP": {"distance": COSINE},
    "criteria.supap.SupAP": {"distance": COSINE},
    "criteria.supcon.SupCon": {"distance": COSINE},
    "criteria.threshold_consistent_margin.ThresholdConsistentMargin": {"distance": COSINE},
}

SETTINGS: Mapping[str, Mapping[str, Any]] = {}  # group without a `_target_`: {key: value}


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
