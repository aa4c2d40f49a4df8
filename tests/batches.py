"""Batches for objectives and miners, and the few words of geometry that their oracles speak."""

import math
from collections.abc import Sequence

import torch
from scipy.stats import chisquare
from torch import Tensor

from core.types import Triplets

LABELS = {
    "balanced": [0, 0, 1, 1, 2, 2, 3, 3],
    "unbalanced": [0, 1, 1, 0, 2, 1, 5, 1, 0],  # 2 and 5 are alone
    "one class": [3, 3, 3, 3],
    "all different": [0, 1, 2, 3, 4],
    "single": [4],
}

Vector = Sequence[float]
Triple = tuple[int, int, int]


def batch(labels: Sequence[int], dim: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random float64 embeddings of random length, which require a gradient, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = 3 * torch.randn(len(labels), dim, dtype=torch.float64, generator=generator)
    return embeddings.requires_grad_(), torch.tensor(labels)


def unit(x: Vector) -> list[float]:
    length = math.sqrt(sum(a * a for a in x))
    return [a / length for a in x]


def cosine(x: Vector, y: Vector) -> float:
    return sum(a * b for a, b in zip(unit(x), unit(y), strict=True))


def euclidean(x: Vector, y: Vector) -> float:
    """Distance of the unit vectors."""
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(unit(x), unit(y), strict=True)))


def positive_pairs(labels: Sequence[int]) -> list[tuple[int, int]]:
    n = range(len(labels))
    return [(i, j) for i in n for j in n if i != j and labels[i] == labels[j]]


def negative_pairs(labels: Sequence[int]) -> list[tuple[int, int]]:
    n = range(len(labels))
    return [(i, j) for i in n for j in n if labels[i] != labels[j]]


def listed(triplets: Triplets) -> list[Triple]:
    """The valid ones, (anchor, positive, negative)."""
    *indices, valid = triplets
    rows = list(zip(*(part.tolist() for part in indices), strict=True))
    return rows if valid is None else [rows[i] for i in range(len(rows)) if valid[i]]


def all_triplets(labels: Sequence[int]) -> list[Triple]:
    """(anchor, positive, negative)"""
    return [
        (a, p, n) for a, p in positive_pairs(labels) for b, n in negative_pairs(labels) if a == b
    ]


def chi_square_p(observed: Sequence[int], probabilities: Sequence[float]) -> float:
    """p value of the counts under the probabilities; what cannot happen must not have happened."""
    possible = [(o, p) for o, p in zip(observed, probabilities, strict=True) if p > 0]
    assert sum(o for o, _ in possible) == sum(observed)
    total = sum(observed)
    return float(chisquare([o for o, _ in possible], [p * total for _, p in possible]).pvalue)
