"""Reducers against plain sums."""

from collections.abc import Callable

import pytest
import torch

from core.reducer import (
    ClassWeighted,
    Divisor,
    LossTerms,
    Mean,
    NonZeroMean,
    NoReduction,
    PerAnchor,
    PerTerm,
    Pooled,
    Reducer,
    Sum,
    Threshold,
    loss_terms,
    weighted,
)
from criteria.contrastive import Contrastive

LABELS = torch.tensor([0, 1])
LOSSES = torch.tensor([[1.0, 0.0], [3.0, 100.0]])
MARKED = torch.tensor([[True, True], [True, False]])
ONCE = loss_terms(LOSSES, where=MARKED)
TOTALS = LossTerms(*torch.tensor([[6.0, 0.0], [4.0, 2.0], [3.0, 0.0]]))


VALUES = [  # reducer, value of ONCE = {1, 0 | 3}, value of TOTALS = {6 of 4 | 0 of 2}
    (Mean(), 4 / 3, 1),
    (NonZeroMean(), 2, 2),
    (Sum(), 4, 6),
    (Divisor(8), 0.5, 0.75),
    (Threshold(), 4 / 3, 1),
    (Threshold(low=0), 2, 1.5),
    (Threshold(low=0, high=2), 1, 1.5),
    (Threshold(high=1.4), 0.5, 0),
    (ClassWeighted([2, 10]), 32 / 3, 2),
    (PerAnchor(), (0.5 + 3) / 2, (1.5 + 0) / 2),
    (PerAnchor(NonZeroMean()), 1.75, 1.5),
    (PerAnchor(Sum()), 3.5, 1.5),
    (PerAnchor(total=True), 2, 3),
]
every_reducer = pytest.mark.parametrize("reducer", [Pooled(), *(one for one, *_ in VALUES)])


@pytest.mark.parametrize(("reducer", "once", "totals"), VALUES)
def test_value(reducer: Reducer, once: float, totals: float) -> None:
    assert reducer(LABELS, a=ONCE).item() == pytest.approx(once)
    assert reducer(LABELS, a=TOTALS).item() == pytest.approx(totals)
    assert reducer(LABELS, a=ONCE, b=TOTALS).item() == pytest.approx(once + totals)


def test_pooled_terms_weigh_what_they_count() -> None:
    """Someone wants one mean over positive and negative pairs together."""
    assert Pooled()(LABELS, a=ONCE).item() == pytest.approx(4 / 3)
    assert Pooled()(LABELS, a=ONCE, b=TOTALS).item() == pytest.approx((4 + 6) / (3 + 6))


@every_reducer
def test_nothing_is_zero_with_a_gradient_of_zero(reducer: Reducer) -> None:
    losses = LOSSES.clone().requires_grad_()
    value = reducer(LABELS, a=loss_terms(losses, where=torch.zeros_like(MARKED)))
    value.backward()
    assert value.item() == 0
    assert losses.grad is not None
    assert not losses.grad.any()


def test_each_term_has_its_reducer() -> None:
    reducer = PerTerm({"b": Sum()})
    assert reducer(LABELS, a=ONCE, b=TOTALS).item() == pytest.approx(4 / 3 + 6)
    with pytest.raises(ValueError, match=r"^reducers must name terms of \['a'\], got \['b'\]"):
        reducer(LABELS, a=ONCE)


def test_unreduced_terms_are_handed_through() -> None:
    assert NoReduction()(LABELS, a=ONCE) == {"a": ONCE}


def test_a_function_of_ones_own_is_a_reducer() -> None:
    def half(_labels: torch.Tensor, **terms: LossTerms) -> torch.Tensor:
        return torch.stack([term.losses.sum() for term in terms.values()]).sum() / 2

    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], requires_grad=True)
    loss = Contrastive(positive_margin=0, negative_margin=2.5, power=1, reducer=half)
    value = loss(embeddings, torch.tensor([0, 0, 1]))
    value.backward()
    pairs = [2**0.5, 2.5 - 2, 2.5 - 2**0.5]  # each in both directions
    assert value.item() == pytest.approx(sum(pairs), rel=1e-6)
    assert embeddings.grad is not None
    assert embeddings.grad.any()


def test_a_class_without_a_weight_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^labels must be in 0\.\.0"):
        ClassWeighted([1])(LABELS, a=ONCE)


@pytest.mark.parametrize(
    ("make", "name"),
    [(lambda: Divisor(0), "divisor"), (lambda: Threshold(low=1, high=1), "low")],
)
def test_numbers_without_a_meaning_are_an_error(make: Callable[[], Reducer], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        make()


def test_without_a_mask_every_entry_is_a_tuple() -> None:
    assert Mean()(LABELS, a=loss_terms(torch.tensor([1.0, 0.0, 5.0]))).item() == 2


def test_losses_below_zero_are_no_part_of_the_mean_of_those_above() -> None:
    """A proxy loss, which can be negative, was reduced to its mean over what is above zero."""
    losses = torch.tensor([-1.0, 2.0])
    counted = weighted(losses, torch.tensor([5, 3]))
    several = LossTerms(*torch.tensor([[1.0], [2.0], [1.0]]), above=torch.tensor([2.0]))
    for term, expected in [(loss_terms(losses), 2), (counted, 2), (several, 2)]:
        assert NonZeroMean()(LABELS, a=term).item() == expected
        assert Mean()(LABELS, a=loss_terms(losses)).item() == 0.5


@pytest.mark.parametrize("reducer", [NonZeroMean(), Threshold(low=0), Threshold(high=5), Mean()])
def test_what_is_not_a_number_stays_visible(reducer: Reducer) -> None:
    assert reducer(LABELS, a=loss_terms(torch.tensor([torch.nan, 1.0]))).isnan()
