"""Renamed targets: old and new names of classes, so that earlier configurations stay usable.

Only this table contains the old names. A configuration from a run folder, from W&B or from a YAML
of the user gets the new names. The name of a run folder is computed from the old names, so that
renaming a class does not restart runs.
"""

from typing import Any

NEW_NAMES = {  # old target: new target
    "core.reducer.Unreduced": "core.reducer.NoReduction",
    "engine.schedule.constant": "engine.learning_rate.constant",
    "engine.schedule.cosine": "engine.learning_rate.cosine",
    "engine.schedule.multistep": "engine.learning_rate.multistep",
    "evaluation.alignment.alignment": "evaluation.metrics.alignment.alignment",
    "evaluation.ami.ami": "evaluation.metrics.ami.ami",
    "evaluation.ari.ari": "evaluation.metrics.ari.ari",
    "evaluation.dists.inter": "evaluation.metrics.dists.inter",
    "evaluation.dists.intra": "evaluation.metrics.dists.intra",
    "evaluation.dists.ratio": "evaluation.metrics.dists.ratio",
    "evaluation.effective_rank.effective_rank": "evaluation.metrics.effective_rank.effective_rank",
    "evaluation.evaluate.Evaluation": "evaluation.evaluator.Evaluator",
    "evaluation.f1.f1": "evaluation.metrics.f1.f1",
    "evaluation.fnmr.fnmr_at_fmr": "evaluation.metrics.fnmr.fnmr_at_fmr",
    "evaluation.hubness.hubness": "evaluation.metrics.hubness.hubness",
    "evaluation.kmeans.kmeans": "evaluation.clustering.kmeans.kmeans",
    "evaluation.map.average_precision": "evaluation.metrics.map.average_precision",
    "evaluation.map_at_k.map_at_k": "evaluation.metrics.map_at_k.map_at_k",
    "evaluation.map_at_r.map_at_r": "evaluation.metrics.map_at_r.map_at_r",
    "evaluation.map_c.map_c": "evaluation.metrics.map_c.map_c",
    "evaluation.map_lim.map_lim": "evaluation.metrics.map_lim.map_lim",
    "evaluation.mean_norm.mean_norm": "evaluation.metrics.mean_norm.mean_norm",
    "evaluation.mrr.reciprocal_rank": "evaluation.metrics.mrr.reciprocal_rank",
    "evaluation.ndcg.ndcg_at_k": "evaluation.metrics.ndcg.ndcg_at_k",
    "evaluation.nmi.nmi": "evaluation.metrics.nmi.nmi",
    "evaluation.precision.precision_at_k": "evaluation.metrics.precision.precision_at_k",
    "evaluation.purity.purity": "evaluation.metrics.purity.purity",
    "evaluation.r_precision.r_precision": "evaluation.metrics.r_precision.r_precision",
    "evaluation.recall.recall_at_k": "evaluation.metrics.recall.recall_at_k",
    "evaluation.rho_spectrum.rho_spectrum": "evaluation.metrics.rho_spectrum.rho_spectrum",
    "evaluation.rho_spectrum.rho_spectrum_centered": "evaluation.metrics.rho_spectrum.rho_spectrum_centered",  # noqa: E501
    "evaluation.uniformity.uniformity": "evaluation.metrics.uniformity.uniformity",
    "tracking.wandb_mirror.WandbMirror": "tracking.wandb_logger.WandbLogger",
}
OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}


def with_new_targets(content: Any) -> Any:  # noqa: ANN401  # plain containers of any depth
    """The configuration with every old target replaced by its new name.

    Args:
        content: plain dictionaries, lists and values; it is not changed.
    """
    return _renamed(content, NEW_NAMES)


def with_old_targets(content: Any) -> Any:  # noqa: ANN401
    """The configuration with every new target replaced by its old name, for stable hashes."""
    return _renamed(content, OLD_NAMES)


def old_targets(content: Any) -> list[str]:  # noqa: ANN401
    """The old targets in a configuration, without duplicates, in alphabetical order."""
    found: set[str] = set()
    nodes = [content]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            target = node.get("_target_")
            found |= {target} & NEW_NAMES.keys() if isinstance(target, str) else set()
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return sorted(found)


def _renamed(node: Any, names: dict[str, str]) -> Any:  # noqa: ANN401
    if isinstance(node, list):
        return [_renamed(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    content = {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(target := content.get("_target_"), str):
        content["_target_"] = names.get(target, target)
    return content
