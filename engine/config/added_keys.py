"""Added keys: what later versions added to a configuration, with the value that changes nothing.

The hash in the name of a run folder leaves out an added key while it has this value, so that a
configuration keeps the folder that earlier versions gave it. A configuration that an earlier
version recorded gets the added keys when its run is evaluated again.
"""

from collections.abc import Mapping
from typing import Any

TOP_LEVEL: Mapping[str, Any] = {  # key of conf/config.yaml: value
    "hooks": {},
    "init_from": None,
    "init_head": True,
    "method": {"_target_": "methods.plain.Plain", "_partial_": True},
}

EUCLIDEAN = {"_target_": "core.distance.Lp"}
COSINE = {"_target_": "core.distance.Cosine"}
SQUARED = {"_target_": "core.distance.Lp", "power": 2}

COMPONENTS: Mapping[str, Mapping[str, Any]] = {  # `_target_`: {key: value}
    "architectures.bninception.bninception": {"head": "linear"},
    "architectures.convnet.convnet": {"head": "linear"},
    "architectures.googlenet.googlenet": {"head": "linear"},
    "architectures.resnet50.resnet50": {"head": "linear"},
    "architectures.timm.timm_model": {"head": "linear"},
    "batch_mining.angular.AngularMiner": {"distance": {**SQUARED, "normalize": True}},
    "batch_mining.distance.DistanceWeightedMiner": {"triplets_per_anchor": 1},
    "batch_mining.multisimilarity.MultiSimilarityMiner": {"distance": COSINE},
    "batch_mining.pads.PADSMiner": {"distance": EUCLIDEAN},
    "batch_mining.parametric.ParametricMiner": {"distance": EUCLIDEAN},
    "batch_mining.semihard.SemiHardMiner": {"distance": EUCLIDEAN},
    "batch_mining.softhard.SoftHardMiner": {"distance": EUCLIDEAN},
    "criteria.adacos.AdaCos": {"init": None},
    "criteria.arcface.ArcFace": {"init": None},
    "criteria.center.Center": {"init": None},
    "criteria.circle.Circle": {"distance": COSINE},
    "criteria.cosface.CosFace": {"init": None},
    "criteria.dynamic_soft_margin.DynamicSoftMargin": {"distance": EUCLIDEAN},
    "criteria.fastap.FastAP": {"distance": SQUARED},
    "criteria.generalized_lifted.GeneralizedLifted": {"positive_margin": 0.0},
    "criteria.histogram.Histogram": {"distance": COSINE},
    "criteria.instance.Instance": {"init": None},
    "criteria.intra_pair_variance.IntraPairVariance": {"distance": COSINE},
    "criteria.lifted_structure.LiftedStructure": {"positive_margin": 0.0},
    "criteria.manifold.Manifold": {"init": None},
    "criteria.margin.Margin": {"distance": EUCLIDEAN, "triplets_per_anchor": "all", "seed": 0},
    "criteria.multisimilarity.MultiSimilarity": {"distance": COSINE},
    "criteria.p2sgrad.P2SGrad": {"init": None},
    "criteria.pnp.PNP": {"distance": COSINE},
    "criteria.proxy_anchor.ProxyAnchor": {"distance": None, "init": None},
    "criteria.proxynca.ProxyNCA": {"distance": None, "init": None},
    "criteria.recall_at_k.RecallAtK": {"distance": COSINE},
    "criteria.smoothap.SmoothAP": {"distance": COSINE},
    "criteria.softmax.NormalizedSoftmax": {"distance": None, "init": None},
    "criteria.softtriple.SoftTriple": {"init": None},
    "criteria.sphereface.SphereFace": {"init": None},
    "criteria.supap.SupAP": {"distance": COSINE},
    "criteria.supcon.SupCon": {"distance": COSINE},
    "criteria.threshold_consistent_margin.ThresholdConsistentMargin": {"distance": COSINE},
    "criteria.triplet.TripletMargin": {
        "swap": False,
        "smooth": False,
        "triplets_per_anchor": "all",
        "seed": 0,
    },
    "datasets.csv.csv": {"test_fraction": 0.5, "query_fraction": None, "seed": 0},
    "evaluation.evaluator.Evaluator": {"within": None, "level": "label", "transform": None},
}

SETTINGS: Mapping[str, Mapping[str, Any]] = {  # group without a `_target_`: {key: value}
    "trainer": {
        "features": "trained",
        "feature_views": 0,
        "freeze": [],
        "layer_lr_decay": None,
        "progress": "auto",
    },
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


def with_added_keys(content: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of an earlier version with the added keys of its groups and components.

    Args:
        content: as in `without_added_keys`, interpolations unresolved.
    """
    complete = {key: _complete(value) for key, value in content.items()}
    for group, added in SETTINGS.items():
        if isinstance(complete.get(group), dict):
            complete[group] = _with(complete[group], added)
    return complete


def _component(node: Any) -> Any:  # noqa: ANN401  # plain containers of any depth
    if isinstance(node, list):
        return [_component(item) for item in node]
    if not isinstance(node, dict):
        return node
    added = COMPONENTS.get(str(node.get("_target_")), {})
    return {key: _component(value) for key, value in _without(node, added).items()}


def _complete(node: Any) -> Any:  # noqa: ANN401  # plain containers of any depth
    if isinstance(node, list):
        return [_complete(item) for item in node]
    if not isinstance(node, dict):
        return node
    added = COMPONENTS.get(str(node.get("_target_")), {})
    return _with({key: _complete(value) for key, value in node.items()}, added)


def _with(node: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {**node, **{key: value for key, value in added.items() if key not in node}}


def _without(node: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in node.items()
        if key not in added or type(value) is not type(added[key]) or value != added[key]
    }
