"""Soft maxima against Python floats."""

import math

import pytest
import torch

from core.kernels.logsumexp import log1p_sum_exp, log_sum_exp, pair_cross_entropy
from core.types import Pairs


def test_value_over_the_marked_entries() -> None:
    logits = torch.tensor([[1.0, -2.0, 9.0], [0.5, 700.0, 3.0], [1.0, 2.0, 3.0]]).double()
    where = torch.tensor([[True, True, False], [False, True, False], [False, False, False]])
    expected = [math.log(1 + math.exp(1) + math.exp(-2)), 700.0, 0.0]
    torch.testing.assert_close(log1p_sum_exp(logits, where).tolist(), expected)


def test_an_empty_row_has_no_gradient_and_no_nan_on_the_way() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        log1p_sum_exp(logits, torch.tensor([[True] * 3, [False] * 3])).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].all()
    assert not logits.grad[1].any()


@pytest.mark.parametrize("dim", [0, 1])
def test_value_over_the_marked_entries_alone(dim: int) -> None:
    logits = torch.tensor([[1.0, -2.0, 9.0], [0.5, 700.0, 3.0], [1.0, 2.0, 3.0]]).double()
    where = torch.tensor([[True, True, False], [False, True, False], [False, False, False]])
    expected = [[math.log(math.exp(1) + math.exp(-2))], [700.0], [-math.inf]]
    if dim == 0:
        logits, where, expected = logits.T, where.T, [[row[0] for row in expected]]
    torch.testing.assert_close(log_sum_exp(logits, where, dim).tolist(), expected)


def test_each_positive_pair_competes_with_the_negatives_of_its_anchor() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.5, 900.0, 3.0], [1.0, 2.0, 3.0]]).double()
    positives = torch.tensor([[True, True, False], [True, False, False], [False, True, False]])
    negatives = torch.tensor([[False, False, True], [False, True, True], [False, False, False]])
    losses, counts, active, _ = pair_cross_entropy(logits, Pairs(positives, negatives))
    expected = torch.zeros(3, 2).double()  # the positives of each row, side by side
    for j in (0, 1):
        odds = math.exp(logits[0, j]) / (math.exp(logits[0, j]) + math.exp(0.5))
        expected[0, j] = -math.log(odds)
    expected[1, 0] = 900 - 0.5  # exp(900) is beyond any float
    torch.testing.assert_close(losses, expected)
    assert counts.tolist() == [[True, True], [True, False], [True, False]]
    assert active.equal(counts & (expected > 0))


def test_rows_without_negatives_have_no_gradient_and_no_nan_on_the_way() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    positives = torch.tensor([[True, False, False], [True, True, True]])
    negatives = torch.tensor([[False, True, True], [False, False, False]])
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        pair_cross_entropy(logits, Pairs(positives, negatives)).losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].all()
    assert not logits.grad[1].any()
