"""A sum of several losses, each with its own miner and weight."""

from collections.abc import Mapping

import torch
from torch import nn

from core.parameter_groups import Groups, collect_parameter_groups
from core.types import Embeddings, Labels, ReferenceLabels, References, Scalar, Tuples


class WeightedSum(nn.Module):
    """Weighted sum: adds up several losses.

        Σ_i weight_i · loss_i(embeddings, labels)

    Every loss uses its own miner, unless `tuples` are given, which then serve all of them. It takes
    no `distance`: every loss has its own.

    Differences:
        pytorch-metric-learning: `MultipleLosses`.

    Args:
        objectives: losses by name.
        weights: of the losses named; the others weigh 1.

    Raises:
        ValueError: there is no loss, or a weight names none.
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
        """`references` and `reference_labels` are for losses over tuples only."""
        return torch.stack(
            [
                weight * self.objectives[name](embeddings, labels, tuples, **references)
                for name, weight in self.weights.items()
            ]
        ).sum()
