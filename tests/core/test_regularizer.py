"""Regularizers against their formulas and pytorch-metric-learning."""

import math
import statistics

import pytest
import torch
from pytorch_metric_learning import distances, regularizers

import core.regularizer
from core.distance import SNR, Cosine, DotProduct, Lp
from core.regularizer import (
    CenterInvariant,
    LpNorm,
    RegularFace,
    Regularizer,
    SparseCenters,
    ZeroMean,
)
from tests.batches import batch, cosine, euclidean

EMBEDDINGS = batch([0] * 6)[0]


@pytest.mark.parametrize(("p", "power"), [(2, 1), (2, 2), (1, 1), (3, 2)])
def test_norm_equals_the_formula(p: float, power: float) -> None:
    norms = [math.fsum(abs(a) ** p for a in x) ** (power / p) for x in EMBEDDINGS.tolist()]
    value = LpNorm(weight=0.5, p=p, power=power)(EMBEDDINGS)
    assert value.item() == pytest.approx(0.5 * math.fsum(norms) / len(norms))


def test_zero_mean_equals_the_formula() -> None:
    sums = [abs(math.fsum(x)) for x in EMBEDDINGS.tolist()]
    assert ZeroMean(weight=2)(EMBEDDINGS).item() == pytest.approx(2 * math.fsum(sums) / len(sums))


def test_regular_face_equals_the_formula() -> None:
    x = EMBEDDINGS.tolist()
    closest = [max(cosine(a, b) for b in x if b is not a) for a in x]
    expected = 2 * math.fsum(closest) / len(x)
    assert RegularFace(weight=2)(EMBEDDINGS).item() == pytest.approx(expected)


def test_regular_face_of_one_is_zero() -> None:
    assert RegularFace()(EMBEDDINGS[:1]) == 0
    assert RegularFace(distance=Lp())(EMBEDDINGS[:1]) == 0


def test_regular_face_of_another_similarity() -> None:
    """Minus the distance of the nearest other prototype; the cosine is the default."""
    x = EMBEDDINGS.tolist()
    nearest = [min(math.dist(a, b) for b in x if b is not a) for a in x]
    value = RegularFace(weight=2, distance=Lp(normalize=False))(EMBEDDINGS)
    assert value.item() == pytest.approx(-2 * math.fsum(nearest) / len(x))
    torch.testing.assert_close(
        RegularFace(distance=Cosine())(EMBEDDINGS), RegularFace()(EMBEDDINGS)
    )


def test_center_invariant_equals_the_formula() -> None:
    squared = [math.fsum(a * a for a in x) for x in EMBEDDINGS.tolist()]
    mean = math.fsum(squared) / len(squared)
    expected = 0.5 * math.fsum((s - mean) ** 2 / 4 for s in squared) / len(squared)
    assert CenterInvariant(weight=0.5)(EMBEDDINGS).item() == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sparse_centers_equals_the_formula(k: int) -> None:
    x = EMBEDDINGS.tolist()
    distances = [
        euclidean(x[i], x[j]) for i in range(6) for j in range(i + 1, 6) if i // k == j // k
    ]
    expected = 0.2 * math.fsum(distances) / max(6 * (k - 1), 1)
    assert SparseCenters(k, weight=0.2)(EMBEDDINGS).item() == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 4, 1024])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sparse_centers_of_another_distance(
    k: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both directions of the signal-to-noise ratio, whose noise is that of one center only."""
    monkeypatch.setattr(core.regularizer, "BLOCK", block)
    x = EMBEDDINGS.tolist()
    ratios = [
        statistics.pvariance([a - b for a, b in zip(x[i], x[j], strict=True)])
        / statistics.pvariance(x[i])
        for i in range(6)
        for j in range(6)
        if i != j and i // k == j // k
    ]
    expected = 0.2 * math.fsum(ratios) / 2 / max(6 * (k - 1), 1)
    value = SparseCenters(k, weight=0.2, distance=SNR())(EMBEDDINGS)
    assert value.item() == pytest.approx(expected)
    euclid = SparseCenters(k, distance=Lp())(EMBEDDINGS)
    torch.testing.assert_close(euclid, SparseCenters(k)(EMBEDDINGS))


def test_sparse_centers_of_no_number() -> None:
    with pytest.raises(ValueError, match="num_sub_centers"):
        SparseCenters(0)


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
        (RegularFace(), regularizers.RegularFaceRegularizer()),
        (
            RegularFace(distance=DotProduct()),
            regularizers.RegularFaceRegularizer(
                distance=distances.DotProductSimilarity(normalize_embeddings=False)
            ),
        ),
        (CenterInvariant(), regularizers.CenterInvariantRegularizer()),
        (SparseCenters(3), regularizers.SparseCentersRegularizer(2, 3)),
    ],
    ids=["norm", "zero mean", "regular face", "dot product", "center invariant", "sparse centers"],
)
def test_equals_pytorch_metric_learning(
    ours: Regularizer, theirs: regularizers.BaseRegularizer
) -> None:
    torch.testing.assert_close(ours(EMBEDDINGS.float()), theirs(EMBEDDINGS.float()))


OF_PROTOTYPES = [
    RegularFace(),
    RegularFace(distance=Lp()),
    CenterInvariant(),
    SparseCenters(3),
    SparseCenters(3, distance=Lp(p=1)),
]


@pytest.mark.parametrize("regularizer", OF_PROTOTYPES)
def test_gradient_equals_finite_differences(regularizer: Regularizer) -> None:
    assert torch.autograd.gradcheck(regularizer, EMBEDDINGS)


@pytest.mark.parametrize("regularizer", OF_PROTOTYPES)
def test_equal_prototypes_have_a_finite_gradient(regularizer: Regularizer) -> None:
    x = EMBEDDINGS[:1].detach().float().repeat(6, 1).requires_grad_()
    regularizer(x).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    "regularizer", [LpNorm(), LpNorm(power=2), LpNorm(p=1), ZeroMean(), *OF_PROTOTYPES]
)
def test_zero_vectors_have_a_finite_gradient(regularizer: Regularizer) -> None:
    x = torch.zeros(6, 4, requires_grad=True)
    regularizer(x).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("regularizer", [LpNorm(), LpNorm(p=3), ZeroMean(), *OF_PROTOTYPES])
def test_half_precision_is_widened_under_autocast(regularizer: Regularizer) -> None:
    x = EMBEDDINGS.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert regularizer(x).dtype == torch.float32
        torch.testing.assert_close(regularizer(x), regularizer(x.float()))
