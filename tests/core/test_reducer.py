"""Reducers against plain sums."""

import pytest
import torch

from core.reducer import Mean, NonZeroMean, Reducer, Sum, Terms, terms_of

LABELS = torch.tensor([0, 1])
LOSSES = torch.tensor([[1.0, 0.0], [3.0, 100.0]])
MARKED = torch.tensor([[True, True], [True, False]])
ONCE = terms_of(LOSSES, where=MARKED)
TOTALS = Terms(*torch.tensor([[6.0, 0.0], [4.0, 2.0], [3.0, 0.0]]))


@pytest.mark.parametrize(
    ("reducer", "once", "totals"), [(Mean(), 4 / 3, 1), (NonZeroMean(), 2, 2), (Sum(), 4, 6)]
)
def test_value(reducer: Reducer, once: float, totals: float) -> None:
    assert reducer(LABELS, a=ONCE).item() == pytest.approx(once)
    assert reducer(LABELS, a=TOTALS).item() == pytest.approx(totals)
    assert reducer(LABELS, a=ONCE, b=TOTALS).item() == pytest.approx(once + totals)


@pytest.mark.parametrize("reducer", [Mean(), NonZeroMean(), Sum()])
def test_nothing_is_zero_with_a_gradient_of_zero(reducer: Reducer) -> None:
    losses = LOSSES.clone().requires_grad_()
    value = reducer(LABELS, a=terms_of(losses, where=torch.zeros_like(MARKED)))
    value.backward()
    assert value.item() == 0
    assert losses.grad is not None
    assert not losses.grad.any()


def test_without_a_mask_every_entry_is_a_tuple() -> None:
    assert Mean()(LABELS, a=terms_of(torch.tensor([1.0, 0.0, 5.0]))).item() == 2
