"""log(1 + Σ exp) against Python floats."""

import math

import torch

from core.logsumexp import log1p_sum_exp


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
