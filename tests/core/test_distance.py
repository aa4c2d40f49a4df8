"""Distances against their formulas, and where square roots and half precision usually bite."""

import itertools
import math
import statistics

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances

from core.distance import SNR, Cosine, DotProduct, Lp, safe_sqrt
from core.kernels.equal_rows import row_hashes
from core.kernels.l2_normalize import l2_normalize as directions
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


METRICS = {name: d for name, d in DISTANCES.items() if not isinstance(d, DotProduct)}
every_metric = pytest.mark.parametrize("distance", METRICS.values(), ids=METRICS.keys())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@every_metric
def test_equal_rows_have_distance_zero(distance: Distance, dtype: torch.dtype) -> None:
    """A batch had an image twice: products of equal rows differ by where in the matrix they are."""
    draw = torch.Generator().manual_seed(0)
    for num, dim in [(2, 15), (5, 63), (16, 2), (33, 17), (40, 300), (113, 128), (257, 129)]:
        rows = torch.randn(num // 3 + 1, dim, dtype=dtype, generator=draw) + 1
        index = torch.randint(len(rows), (num,), generator=draw)
        x = rows[index].requires_grad_()
        transposed = rows[index.flip(0)].T.contiguous().T  # as a slice or a transpose may lie
        for y, same in [
            (None, index[:, None] == index),
            (transposed, index[:, None] == index.flip(0)),
        ]:
            distances = distance(x, y)
            assert (distances.eq(0) | ~same).all()
            assert distances[~same].all()
            (gradient,) = torch.autograd.grad(distances[same].sum(), x)
            assert gradient.abs().max() <= 1e-4


def test_minus_zero_is_zero() -> None:
    x = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [0.0, -1.0]])
    for distance in METRICS.values():
        assert distance(x)[0, 1] == 0
        assert distance(x[:1], x[1:])[0, 0] == 0


def test_rows_that_differ_are_told_apart() -> None:
    """Even those of few different entries, as a rectifier or a hash makes them."""
    places = [set(c) for size in (1, 2, 3) for c in itertools.combinations(range(48), size)]
    rows = torch.zeros(len(places), 48)
    for row, place in zip(rows, places, strict=True):
        row[list(place)] = 1
    orders = torch.tensor(list(itertools.permutations([0.0, 1.0, 2.0, 4.0, 0.5, -1.0])))
    wide = torch.zeros(len(orders), 48)
    wide[:, :6] = orders
    every = torch.cat([rows, wide])
    for dtype in (torch.float32, torch.float64):
        assert len(row_hashes(every.to(dtype)).unique()) == len(every)


RAW = {
    "euclidean": Lp(normalize=False),
    "squared": Lp(power=2, normalize=False),
    "manhattan": Lp(p=1, normalize=False),
    "p 3": Lp(p=3, normalize=False),
}


@pytest.mark.parametrize("against", ["itself", "references"])
@pytest.mark.parametrize("offset", [0, 10, 100, 1000])
@pytest.mark.parametrize("distance", RAW.values(), ids=RAW.keys())
def test_a_common_offset_changes_nothing(distance: Lp, offset: float, against: str) -> None:
    """The network ended in a bias, so that all embeddings lay far from the origin."""
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 128, generator=draw) + offset for n in (64, 96))
    y = x if against == "itself" else y
    apart = x.double().numpy()[:, None] - y.double().numpy()
    exact = torch.from_numpy((np.abs(apart) ** distance.p).sum(axis=2)) ** (
        distance.power / distance.p
    )
    leaf, wide = x.requires_grad_(), x.detach().double().requires_grad_()
    references = [None, None] if against == "itself" else [y, y.double()]
    found, truth = distance(leaf, references[0]), distance(wide, references[1])
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
    slopes = torch.randn(found.shape, generator=draw)
    (gradient,) = torch.autograd.grad(found, leaf, slopes)
    (expected,) = torch.autograd.grad(truth, wide, slopes.double())
    torch.testing.assert_close(
        gradient.double(), expected, rtol=0, atol=1e-5 * float(expected.abs().max())
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-13, 1e18, 1e30])
@pytest.mark.parametrize(
    "distance", [Lp(), Lp(p=1), Cosine(), SNR(normalize=True)], ids=["p 2", "p 1", "cosine", "snr"]
)
def test_the_length_of_a_row_is_irrelevant_to_its_direction(
    distance: Distance, scale: float
) -> None:
    x = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(distance(scale * x), distance(x), rtol=1e-5, atol=2e-6)
    leaves = [(factor * x).requires_grad_() for factor in (scale, 1)]
    gradient, expected = (
        torch.autograd.grad(distance(leaf, x.roll(1)).sum(), leaf)[0] for leaf in leaves
    )
    torch.testing.assert_close(gradient * scale, expected, rtol=1e-4, atol=1e-4)


def test_a_row_of_zeros_has_no_direction_and_no_gradient() -> None:
    x = torch.eye(3)
    x[1] = 0
    x.requires_grad_()
    (gradient,) = torch.autograd.grad((directions(x) * torch.arange(1.0, 4)).sum(), x)
    assert directions(x).equal(x)
    assert gradient[1].equal(torch.zeros(3))


def test_slopes_of_unit_vectors_equal_finite_differences() -> None:
    x = batch([0] * 5)[0]
    assert torch.autograd.gradcheck(directions, x)
    assert torch.autograd.gradgradcheck(directions, x)


@pytest.mark.parametrize("distance", [Lp(), Lp(power=2), SNR()], ids=["root", "square", "ratio"])
def test_second_slopes_among_the_rows_of_a_batch(distance: Distance) -> None:
    """Each row is compared with itself too, where a root has no slope."""
    x = batch([0] * 4)[0]
    assert torch.autograd.gradcheck(distance, x)
    others = ~torch.eye(4, dtype=torch.bool)
    assert torch.autograd.gradgradcheck(lambda x: distance(x)[others], x)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_a_root_of_the_distance_has_a_finite_slope_at_zero(p: float) -> None:
    x = torch.ones(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(Lp(p=p, power=0.5)(x).sum(), x)
    assert not gradient.any()


@every_distance
def test_the_wider_type_of_two_counts(distance: Distance) -> None:
    """Double embeddings met the float prototypes of a loss."""
    x, y = batch([0] * 4)[0].detach(), batch([0] * 6, seed=1)[0].detach()
    for one, other, wider in [
        (torch.float64, torch.float32, torch.float64),
        (torch.float32, torch.float64, torch.float64),
        (torch.bfloat16, torch.float16, torch.float32),
        (torch.float16, torch.float64, torch.float64),
    ]:
        a, b = x.to(one), y.to(other)
        for view in (distance, distance.similarity):
            assert view(a, b).dtype == wider
            torch.testing.assert_close(view(a, b), view(a.to(wider), b.to(wider)))
