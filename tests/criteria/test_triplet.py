"""TripletMargin against its definition, triplet by triplet."""

import math

import pytest
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import MeanReducer

import core.kernels.triplet_losses
from core.distance import Lp
from core.reducer import Mean, NonZeroMean, Sum
from core.tuples import all_pairs, to_triplets
from core.types import Pairs
from criteria.triplet import TripletMargin
from tests.batches import LABELS, all_triplets, batch, euclidean

AVERAGES = {
    Mean: lambda losses: sum(losses) / max(len(losses), 1),
    NonZeroMean: lambda losses: sum(losses) / max(sum(loss > 0 for loss in losses), 1),
    Sum: sum,
}


def hinges_by_definition(
    x: list[list[float]], labels: list[int], margin: float, power: float
) -> list[float]:
    return [
        max(0.0, euclidean(x[a], x[p]) ** power - euclidean(x[a], x[n]) ** power + margin)
        for a, p, n in all_triplets(labels)
    ]


@pytest.mark.parametrize("reducer", AVERAGES)
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("margin", [0.0, 0.2, 5.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_over_all_triplets_equals_the_definition(
    labels: list[int], margin: float, power: float, reducer: type
) -> None:
    embeddings, targets = batch(labels)
    criterion = TripletMargin(margin=margin, distance=Lp(power=power), reducer=reducer())
    hinges = hinges_by_definition(embeddings.tolist(), labels, margin, power)
    expected = AVERAGES[reducer](hinges)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("reducer", AVERAGES)
def test_listed_and_crossed_triplets_agree(reducer: type) -> None:
    """Value and gradient, for an arbitrary choice of pairs among more references than anchors."""
    embeddings, labels = batch([0, 0, 1, 1, 2])
    references, reference_labels = batch([0, 1, 2, 0, 1, 2, 0], seed=1)
    chosen = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.7
    same = labels[:, None] == reference_labels
    pairs = Pairs(positives=same & chosen[0], negatives=~same & chosen[1])
    criterion = TripletMargin(reducer=reducer())
    values, gradients = [], []
    for tuples in (pairs, to_triplets(pairs)):
        embeddings.grad = references.grad = None
        value = criterion(
            embeddings, labels, tuples, references=references, reference_labels=reference_labels
        )
        value.backward()
        values.append(value)
        gradients.append((embeddings.grad, references.grad))
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_many_samples_in_float32_keep_their_digits() -> None:
    """A sum of differences of running sums could lose them."""
    embeddings, labels = batch(list(range(150)) * 4, dim=16)
    exact = TripletMargin()(embeddings, labels)
    torch.testing.assert_close(
        TripletMargin()(embeddings.float(), labels).double(), exact, rtol=1e-5, atol=0
    )


def losses_by_definition(
    x: list[list[float]], labels: list[int], margin: float, swap: bool, smooth: bool
) -> list[float]:
    losses = []
    for a, p, n in all_triplets(labels):
        far = [euclidean(x[a], x[n]) ** 2, euclidean(x[p], x[n]) ** 2]
        excess = euclidean(x[a], x[p]) ** 2 - (min(far) if swap else far[0]) + margin
        losses.append(math.log1p(math.exp(excess)) if smooth else max(0.0, excess))
    return losses


VARIANTS = {
    "swap": {"swap": True},
    "smooth": {"smooth": True},
    "both": {"swap": True, "smooth": True},
}


@pytest.mark.parametrize("block", [1, 2**22], ids=["a block for each positive", "one block"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_variants_equal_the_definition(
    labels: list[int], variant: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.triplet_losses, "BLOCK", block)
    embeddings, targets = batch(labels)
    options = {"swap": False, "smooth": False, **VARIANTS[variant]}
    each = losses_by_definition(embeddings.tolist(), labels, 0.3, **options)
    for reducer, average in AVERAGES.items():
        criterion = TripletMargin(margin=0.3, reducer=reducer(), **options)
        expected = pytest.approx(average(each), rel=1e-9, abs=1e-12)
        assert criterion(embeddings, targets).item() == expected
        listed = to_triplets(all_pairs(targets))
        assert criterion(embeddings, targets, listed).item() == expected
    assert torch.autograd.gradcheck(lambda x: criterion(x, targets), embeddings)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_equal_pytorch_metric_learning(variant: str) -> None:
    options = {"swap": False, "smooth": False, **VARIANTS[variant]}
    theirs = losses.TripletMarginLoss(
        margin=0.2,
        swap=options["swap"],
        smooth_loss=options["smooth"],
        triplets_per_anchor="all",
        distance=LpDistance(power=2),
        reducer=MeanReducer(),
    )
    embeddings, labels = batch([0, 1, 2] * 4)
    values, gradients = [], []
    for criterion in (TripletMargin(**options), theirs):
        embeddings.grad = None
        value = criterion(embeddings, labels)
        value.backward()
        values.append(value)
        gradients.append(embeddings.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_take_references(variant: str) -> None:
    """The batch at large, as references of its first anchors: (i, i) is taken out."""
    embeddings, labels = batch([0, 1, 2] * 4)
    pairs = all_pairs(labels)
    first = Pairs(*(mask[:5] for mask in pairs))
    criterion = TripletMargin(reducer=Sum(), **VARIANTS[variant])
    against = {"references": embeddings, "reference_labels": labels}
    value = criterion(embeddings[:5], labels[:5], first, **against)
    rest = Pairs(*(mask.clone().index_fill_(0, torch.arange(5, 12), False) for mask in pairs))
    torch.testing.assert_close(value, criterion(embeddings, labels, rest))


def test_random_triplets_take_the_place_of_all_triplets_alone() -> None:
    """A number has no effect on mined and given tuples; all triplets are the mean of many draws."""
    embeddings, labels = batch(LABELS["balanced"])
    every, few = TripletMargin(), TripletMargin(triplets_per_anchor=2, seed=1)
    given = all_pairs(labels)
    assert few(embeddings, labels, given).equal(every(embeddings, labels, given))
    draws = torch.stack([few(embeddings, labels).detach() for _ in range(400)])
    error = draws.std() / math.sqrt(len(draws))
    assert 0 < abs(draws.mean() - every(embeddings, labels)) < 4 * error
    assert every.state_dict() == {}


def test_a_restored_loss_draws_on_as_the_saved_one() -> None:
    embeddings, labels = batch(LABELS["balanced"])
    saved, restored = (TripletMargin(triplets_per_anchor=1, seed=seed) for seed in (0, 1))
    saved(embeddings, labels)
    restored.load_state_dict(saved.state_dict())
    values = [[loss(embeddings, labels).item() for _ in range(5)] for loss in (saved, restored)]
    assert values[0] == values[1]
    assert len(set(values[0])) > 1
