"""Distances against their formulas, and where square roots and half precision usually bite."""

import math
import statistics

import pytest
import torch
from pytorch_metric_learning import distances

from core.distance import SNR, Cosine, DotProduct, Lp, safe_sqrt
from core.types import Distance
from tests.batches import batch, cosine, unit

DISTANCES = {
    "euclidean": Lp(),
    "squared": Lp(power=2),
    "raw": Lp(normalize=False),
    "manhattan": Lp(p=1),
    "p 3": Lp(p=3, power=2, normalize=False),
    "cosine": Cosine(),
    "dot product": DotProduct(),
    "signal to noise": SNR(),
    "signal to noise of unit vectors": SNR(normalize=True),
}
every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES.keys())


def by_definition(distance: Distance, x: list[float], y: list[float]) -> float:
    if isinstance(distance, Cosine):
        return 1 - cosine(x, y)
    if isinstance(distance, DotProduct):
        return -math.fsum(a * b for a, b in zip(x, y, strict=True))
    if distance.normalize:
        x, y = unit(x), unit(y)
    if isinstance(distance, SNR):
        noise = [a - b for a, b in zip(x, y, strict=True)]
        return statistics.pvariance(noise) / statistics.pvariance(x)
    total = math.fsum(abs(a - b) ** distance.p for a, b in zip(x, y, strict=True))
    return total ** (distance.power / distance.p)


@every_distance
def test_value_equals_the_formula(distance: Distance) -> None:
    x, y = batch([0] * 4)[0], batch([0] * 6, seed=1)[0]
    expected = [[by_definition(distance, a, b) for b in y.tolist()] for a in x.tolist()]
    torch.testing.assert_close(distance(x, y).tolist(), expected)


@every_distance
def test_without_references_it_is_the_batch_against_itself(distance: Distance) -> None:
    x = batch([0] * 5)[0]
    torch.testing.assert_close(distance(x), distance(x, x))


@every_distance
def test_similarity_ranks_neighbours_the_other_way_round(distance: Distance) -> None:
    x, y = batch([0] * 4)[0], batch([0] * 6, seed=1)[0]
    similarity = distance.similarity(x, y)
    assert similarity.argsort(dim=1, descending=True).equal(distance(x, y).argsort(dim=1))


@every_distance
def test_gradient_of_coinciding_points_is_finite(distance: Distance) -> None:
    x = torch.ones(3, 4, requires_grad=True)
    distance(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@every_distance
def test_half_precision_is_widened_under_autocast(distance: Distance) -> None:
    x = batch([0] * 5)[0].bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert distance(x).dtype == torch.float32
        torch.testing.assert_close(distance(x), distance(x.float()))


@every_distance
def test_what_is_not_a_number_stays_visible(distance: Distance) -> None:
    """On a GPU nobody looks at the embeddings; the loss has to tell."""
    x = batch([0] * 3)[0].detach()
    x[1, 2] = torch.nan
    assert distance(x)[1].isnan().all()


def test_safe_sqrt_is_flat_at_zero_only() -> None:
    x = torch.tensor([0.0, 4.0, torch.nan], requires_grad=True)
    roots = safe_sqrt(x)
    torch.testing.assert_close(roots.tolist(), [0.0, 2.0, math.nan], equal_nan=True)
    roots.sum().backward()
    assert x.grad is not None
    assert x.grad[:2].tolist() == [0.0, 0.25]


def test_order_below_one_is_no_norm() -> None:
    with pytest.raises(ValueError, match="p must"):
        Lp(p=0.5)


def test_signal_to_noise_of_a_constant_anchor_is_finite() -> None:
    x = torch.zeros(2, 4, requires_grad=True)
    distances = SNR()(x, 1e4 * torch.eye(4))
    distances.sum().backward()
    assert distances.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (DotProduct(), distances.DotProductSimilarity(normalize_embeddings=False)),
        (SNR(normalize=True), distances.SNRDistance()),
        (
            Lp(p=3, power=2, normalize=False),
            distances.LpDistance(p=3, power=2, normalize_embeddings=False),
        ),
        (Cosine(), distances.CosineSimilarity()),
    ],
    ids=["dot product", "signal to noise", "p 3", "cosine"],
)
def test_equals_pytorch_metric_learning(ours: Distance, theirs: distances.BaseDistance) -> None:
    x, y = batch([0] * 4)[0].float(), batch([0] * 6, seed=1)[0].float()
    value = ours.similarity(x, y) if theirs.is_inverted else ours(x, y)
    torch.testing.assert_close(value, theirs(x, y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", [Lp(), Lp(power=2), SNR()], ids=["root", "square", "ratio"])
def test_first_and_second_slopes_equal_finite_differences(distance: Distance) -> None:
    x, y = batch([0] * 4)[0].double(), batch([0] * 3, seed=1)[0].double()
    leaves = x.detach().requires_grad_(), y.detach().requires_grad_()
    assert torch.autograd.gradcheck(distance, leaves)
    assert torch.autograd.gradgradcheck(distance, leaves)
    assert torch.autograd.gradcheck(distance, (x.detach(), leaves[1]))
