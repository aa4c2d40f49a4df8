"""Equivalents of our losses and miners in pytorch-metric-learning.

The tests compare the numbers, the benchmark compares the speed. Each is built with the numbers of
the YAML of our loss; `options` are the options of ours that make both compute the same.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pytorch_metric_learning import distances, losses, miners, reducers
from torch import nn


class PmlEquivalent(NamedTuple):
    """Loss of pytorch-metric-learning that equals ours with `options`."""

    build: Callable[..., nn.Module]  # called with num_classes and embedding_dim
    options: Mapping[str, Any] = {}
    on_triplets: bool = False  # the same only where no pair is part of two triplets


def squared() -> distances.LpDistance:
    return distances.LpDistance(power=2)


def mean() -> reducers.MeanReducer:
    """Mean over all tuples; the default of many PML losses is the mean of the non-zero ones."""
    return reducers.MeanReducer()


PML_LOSSES: dict[str, PmlEquivalent] = {
    "arcface": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.ArcFaceLoss(
            num_classes, embedding_dim, margin=math.degrees(0.5), scale=16
        ),
        {"monotonic": True},
    ),
    "circle": PmlEquivalent(lambda **_: losses.CircleLoss(reducer=mean())),
    "contrastive": PmlEquivalent(lambda **_: losses.ContrastiveLoss(reducer=mean())),
    "fastap": PmlEquivalent(lambda **_: losses.FastAPLoss()),
    "generalized_lifted": PmlEquivalent(
        lambda **_: losses.GeneralizedLiftedStructureLoss(),
        {"distance": {"normalize": True}, "regularizer": None},
    ),
    "intra_pair_variance": PmlEquivalent(lambda **_: losses.IntraPairVarianceLoss()),
    "cosface": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.CosFaceLoss(
            num_classes, embedding_dim, margin=0.35, scale=64
        )
    ),
    "lifted_structure": PmlEquivalent(
        lambda **_: losses.LiftedStructureLoss(), {"distance": {"normalize": True}}
    ),
    "large_margin_softmax": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.LargeMarginSoftmaxLoss(
            num_classes, embedding_dim, margin=4, scale=1
        )
    ),
    "margin": PmlEquivalent(
        lambda **_: losses.MarginLoss(),
        {"num_classes": None, "learn_beta": False},
        on_triplets=True,
    ),
    "multisimilarity": PmlEquivalent(
        lambda **_: losses.MultiSimilarityLoss(alpha=2, beta=40, base=0.5)
    ),
    "nca": PmlEquivalent(lambda **_: losses.NCALoss(), {"distance": {"normalize": True}}),
    "ntxent": PmlEquivalent(lambda **_: losses.NTXentLoss()),
    "pnp": PmlEquivalent(lambda **_: losses.PNPLoss(), {"include_query": True}),
    "p2sgrad": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.P2SGradLoss(embedding_dim, num_classes),
        {"average": True},
    ),
    "proxy_anchor": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.ProxyAnchorLoss(
            num_classes, embedding_dim, margin=0.1, alpha=32
        )
    ),
    "proxynca": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.ProxyNCALoss(
            num_classes, embedding_dim, softmax_scale=9
        ),
        {"include_own": True},
    ),
    "proxynca_pp": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.ProxyNCALoss(
            num_classes, embedding_dim, softmax_scale=9
        )
    ),
    "sphereface": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.SphereFaceLoss(
            num_classes, embedding_dim, margin=4, scale=1
        ),
    ),
    "snr_contrastive": PmlEquivalent(
        lambda **_: losses.SignalToNoiseRatioContrastiveLoss(reducer=mean()),
        {"distance": {"normalize": True}, "regularizer": None},
    ),
    "softmax": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.NormalizedSoftmaxLoss(
            num_classes, embedding_dim, temperature=0.05
        )
    ),
    "supcon": PmlEquivalent(lambda **_: losses.SupConLoss()),
    "softtriple": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.SoftTripleLoss(
            num_classes, embedding_dim, centers_per_class=10, la=20, gamma=0.1, margin=0.01
        ),
        {"tau": 0},
    ),
    "subcenter_arcface": PmlEquivalent(
        lambda num_classes, embedding_dim: losses.SubCenterArcFaceLoss(
            num_classes=num_classes, embedding_size=embedding_dim, margin=math.degrees(0.5)
        )
    ),
    "threshold_consistent_margin": PmlEquivalent(
        lambda **_: losses.ThresholdConsistentMarginLoss()
    ),
    "triplet": PmlEquivalent(
        lambda **_: losses.TripletMarginLoss(margin=0.2, distance=squared(), reducer=mean())
    ),
    "tuplet_margin": PmlEquivalent(lambda **_: losses.TupletMarginLoss()),
}

MINERS: dict[str, Callable[[], Callable[..., Any]]] = {  # as the YAML of our miner
    "angular": lambda: miners.AngularMiner(angle=20),
    "batch_easy_hard": lambda: miners.BatchEasyHardMiner("easy", "semihard"),
    "batch_hard": lambda: miners.BatchHardMiner(),
    "distance": lambda: miners.DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4),
    "hdc": lambda: miners.HDCMiner(filter_percentage=0.5),
    "multisimilarity": lambda: miners.MultiSimilarityMiner(epsilon=0.1),
    "pair_margin": lambda: miners.PairMarginMiner(pos_margin=0.2, neg_margin=0.8),
    "triplet_margin": lambda: miners.TripletMarginMiner(margin=0.2, type_of_triplets="all"),
    "uniform_histogram": lambda: miners.UniformHistogramMiner(100, 10, 10),
}
