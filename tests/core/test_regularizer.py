"""Regularizers against their formulas and pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning import distances, regularizers

from core.regularizer import LpNorm, Regularizer, ZeroMean
from tests.batches import batch

EMBEDDINGS = batch([0] * 6)[0]


@pytest.mark.parametrize(("p", "power"), [(2, 1), (2, 2), (1, 1), (3, 2)])
def test_norm_equals_the_formula(p: float, power: float) -> None:
    norms = [math.fsum(abs(a) ** p for a in x) ** (power / p) for x in EMBEDDINGS.tolist()]
    value = LpNorm(weight=0.5, p=p, power=power)(EMBEDDINGS)
    assert value.item() == pytest.approx(0.5 * math.fsum(norms) / len(norms))


def test_zero_mean_equals_the_formula() -> None:
    sums = [abs(math.fsum(x)) for x in EMBEDDINGS.tolist()]
    assert ZeroMean(weight=2)(EMBEDDINGS).item() == pytest.approx(2 * math.fsum(sums) / len(sums))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            LpNorm(),
            regularizers.LpRegularizer(distance=distances.LpDistance(normalize_embeddings=False)),
        ),
        (
            ZeroMean(),
            regularizers.ZeroMeanRegularizer(
                distance=distances.LpDistance(normalize_embeddings=False)
            ),
        ),
    ],
    ids=["norm", "zero mean"],
)
def test_equals_pytorch_metric_learning(
    ours: Regularizer, theirs: regularizers.BaseRegularizer
) -> None:
    torch.testing.assert_close(ours(EMBEDDINGS.float()), theirs(EMBEDDINGS.float()))


@pytest.mark.parametrize("regularizer", [LpNorm(), LpNorm(power=2), LpNorm(p=1), ZeroMean()])
def test_zero_vectors_have_a_finite_gradient(regularizer: Regularizer) -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    regularizer(x).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("regularizer", [LpNorm(), LpNorm(p=3), ZeroMean()])
def test_half_precision_is_widened_under_autocast(regularizer: Regularizer) -> None:
    x = EMBEDDINGS.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert regularizer(x).dtype == torch.float32
        torch.testing.assert_close(regularizer(x), regularizer(x.float()))
