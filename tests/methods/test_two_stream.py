"""Anchors of one stream are compared with the other stream alone."""

import pytest
import torch
from torch import nn

from core.regularizer import LpNorm
from core.types import Outputs
from criteria.contrastive import Contrastive
from criteria.regularized import Regularized
from criteria.softmax import NormalizedSoftmax
from criteria.triplet import TripletMargin
from criteria.weighted_sum import WeightedSum
from methods.method import Batch
from methods.two_stream import TwoStream

EMBEDDINGS = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3])


def test_triplets_by_hand() -> None:
    unit = EMBEDDINGS / EMBEDDINGS.norm(dim=1, keepdim=True)
    first, second, labels = unit[0::2], unit[1::2], LABELS[0::2].tolist()
    terms = [
        max(
            0.0,
            float((first[a] - second[p]).square().sum() - (first[a] - second[n]).square().sum())
            + 0.2,
        )
        for a in range(6)
        for p in range(6)
        for n in range(6)
        if labels[a] == labels[p] and labels[a] != labels[n]
    ]
    criterion = TripletMargin(margin=0.2, miner=None)
    batch = Batch(torch.zeros(12, 3, 1, 1), LABELS, epoch=0)
    losses = TwoStream(nn.Identity(), criterion)(batch, lambda _: Outputs(EMBEDDINGS), criterion)
    assert float(losses["loss"]) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_sampler_and_loss_must_fit() -> None:
    class Pairs:
        layout = "pairs"

    method = TwoStream(nn.Identity(), None)
    with pytest.raises(ValueError, match="choose sampler=two_stream"):
        method.check(object(), Contrastive())
    with pytest.raises(
        ValueError, match="NormalizedSoftmax compares embeddings with its own prototypes"
    ):
        method.check(Pairs(), NormalizedSoftmax(num_classes=4, embedding_dim=5))
    method.check(Pairs(), Contrastive())


def test_a_loss_that_passes_references_on_is_asked_for_its_parts() -> None:
    class Pairs:
        layout = "pairs"

    method, softmax = TwoStream(nn.Identity(), None), NormalizedSoftmax(4, 5)
    method.check(Pairs(), WeightedSum({"one": TripletMargin(), "two": Contrastive()}))
    method.check(Pairs(), Regularized(Contrastive(), LpNorm()))
    for mixed in (
        WeightedSum({"one": TripletMargin(), "two": softmax}),
        Regularized(WeightedSum({"one": softmax}), LpNorm()),
    ):
        with pytest.raises(ValueError, match="NormalizedSoftmax compares embeddings with its own"):
            method.check(Pairs(), mixed)
