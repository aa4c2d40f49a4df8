"""Several objectives at once, each with its own miner and weight."""

from collections.abc import Mapping

import torch
from torch import nn

from core.parameter_groups import Groups, collect_parameter_groups
from core.types import Embeddings, Labels, ReferenceLabels, References, Scalar, Tuples


class WeightedSum(nn.Module):
    """Σ_i weight_i · objective_i(embeddings, labels).

    Every objective mines for itself, unless `tuples` are given, which then serve all of them.

    Args:
        objectives: by name.
        weights: of the objectives named; the others weigh 1.

    Raises:
        ValueError: there is no objective, or a weight names none.
    """

    def __init__(
        self, objectives: Mapping[str, nn.Module], weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        weights = weights or {}
        unknown = sorted(weights.keys() - objectives.keys())
        if not objectives:
            raise ValueError("objectives must name at least one objective, got none")
        if unknown:
            raise ValueError(f"weights must name one of {sorted(objectives)}, got {unknown}")
        self.objectives = nn.ModuleDict(objectives)
        self.weights = {name: float(weights.get(name, 1)) for name in objectives}

    def parameter_groups(self) -> Groups:
        return [
            group
            for objective in self.objectives.values()
            for group in collect_parameter_groups(objective)
        ]

    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        tuples: Tuples | None = None,
        **references: References | ReferenceLabels | None,
    ) -> Scalar:
        """`references` and `reference_labels` are for objectives over tuples only."""
        return torch.stack(
            [
                weight * self.objectives[name](embeddings, labels, tuples, **references)
                for name, weight in self.weights.items()
            ]
        ).sum()
