"""A batch of fixed triplets gives the loss of exactly these triplets."""

import pytest
import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import MeanReducer
from torch import nn

from batch_mining.semihard import SemiHardMiner
from core.regularizer import LpNorm
from core.types import Outputs
from criteria.regularized import Regularized
from criteria.triplet import TripletMargin
from criteria.weighted_sum import WeightedSum
from methods.fixed_triplets import FixedTriplets
from methods.method import Batch

EMBEDDINGS = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.zeros(12, dtype=torch.long)  # human judgements: all of one class


def loss(criterion: nn.Module) -> float:
    batch = Batch(torch.zeros(12, 3, 1, 1), LABELS, epoch=0)
    losses = FixedTriplets(nn.Identity(), criterion)(
        batch, lambda _: Outputs(EMBEDDINGS), criterion
    )
    return float(losses["loss"])


def test_the_triplet_loss_by_hand() -> None:
    unit = EMBEDDINGS / EMBEDDINGS.norm(dim=1, keepdim=True)
    terms = [
        max(0.0, float((a - p).square().sum() - (a - n).square().sum()) + 0.2)
        for a, p, n in unit.reshape(4, 3, 5)
    ]
    assert loss(TripletMargin(margin=0.2, miner=None)) == pytest.approx(sum(terms) / 4, rel=1e-5)


def test_pytorch_metric_learning_agrees() -> None:
    packed = miners.EmbeddingsAlreadyPackagedAsTriplets()(EMBEDDINGS, LABELS)
    reference = losses.TripletMarginLoss(
        margin=0.3, distance=LpDistance(power=2), reducer=MeanReducer()
    )(EMBEDDINGS, LABELS, packed)
    assert loss(TripletMargin(margin=0.3)) == pytest.approx(float(reference), rel=1e-5)


def test_sampler_and_miner_must_fit() -> None:
    method = FixedTriplets(nn.Identity(), None)
    with pytest.raises(ValueError, match="choose sampler=fixed_triplets"):
        method.check(object(), TripletMargin())

    class Packed:
        layout = "triplets"

    with pytest.raises(ValueError, match="batchminer=none"):
        method.check(Packed(), TripletMargin(miner=SemiHardMiner()))
    with pytest.raises(ValueError, match="batchminer=none"):
        method.check(Packed(), Regularized(TripletMargin(miner=SemiHardMiner()), LpNorm()))
    method.check(Packed(), Regularized(TripletMargin(miner=None), LpNorm()))

    class OfPairs(nn.Module):
        def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor: ...

    with pytest.raises(ValueError, match="OfPairs takes no tuples; choose a loss over triplets"):
        method.check(Packed(), WeightedSum({"one": TripletMargin(), "two": OfPairs()}))
    method.check(Packed(), TripletMargin(miner=None))
