"""Smooth ranks against their definition, comparison by comparison."""

import math

import pytest
import torch
from torch import library

import core.kernels.smooth_ranks
from core.kernels.smooth_ranks import SmoothStep, counts_before, mean_over_positives, with_query
from core.tuples import all_pairs
from core.types import Pairs
from tests.batches import LABELS

SIGMOID = SmoothStep(0.1)
LIFTED = SmoothStep(0.1, lift=0.5, reach=0.3, slope=7.0, height=2.0)


def height(x: float, step: SmoothStep) -> float:
    if x > step.reach:
        return step.slope * (x - step.reach) + step.height
    return 1 / (1 + math.exp(-x / step.temperature)) + (step.lift if x > 0 else 0)


def similarities(n: int, m: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (2 * torch.rand(n, m, dtype=torch.float64, generator=generator) - 1).requires_grad_()


@pytest.mark.parametrize("block", [1, 20, 2**22])
@pytest.mark.parametrize("step", [SIGMOID, LIFTED])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_counts_equal_the_definition(
    labels: list[int], step: SmoothStep, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.smooth_ranks, "BLOCK", block)
    n = len(labels)
    s = similarities(n, n)
    x = s.tolist()
    pairs = all_pairs(torch.tensor(labels))
    before = counts_before(s, pairs, step)
    expected = [[[0.0] * n for _ in range(n)] for _ in range(2)]
    for i in range(n):
        for j in range(n):
            if labels[i] == labels[j] and i != j:
                for k in range(n):
                    if k not in (i, j):
                        kind = int(labels[k] != labels[i])
                        expected[kind][i][j] += height(x[i][k] - x[i][j], step)
    for got, wanted in zip(before, expected, strict=True):
        torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("block", [1, 20, 2**22])
@pytest.mark.parametrize("step", [SIGMOID, LIFTED])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_gradient_equals_finite_differences(
    labels: list[int], step: SmoothStep, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.smooth_ranks, "BLOCK", block)
    pairs = all_pairs(torch.tensor(labels))
    s = similarities(len(labels), len(labels))
    assert torch.autograd.gradcheck(lambda x: tuple(counts_before(x, pairs, step)), s)


def test_positives_may_have_a_true_step_of_their_own() -> None:
    """Two equal positives are each before the other; only the negative has a gradient."""
    s = torch.tensor([[0.5, 0.5, 0.2, 0.4]], dtype=torch.float64, requires_grad=True)
    positives = torch.tensor([[True, True, True, False]])
    before = counts_before(s, Pairs(positives, ~positives), SIGMOID, among_positives=SmoothStep(0))
    torch.testing.assert_close(before.positives, s.new_tensor([[1.0, 1.0, 2.0, 0.0]]))
    expected = [height(0.4 - 0.5, SIGMOID), height(0.4 - 0.5, SIGMOID), height(0.2, SIGMOID), 0]
    torch.testing.assert_close(before.negatives, s.new_tensor([expected]))
    assert not torch.autograd.grad(before.positives.sum(), s)[0].any()


def test_references_may_be_fewer_or_more_than_anchors() -> None:
    s = similarities(2, 3)
    positives = torch.tensor([[True, False, True], [False, False, False]])
    negatives = torch.tensor([[False, True, False], [True, True, True]])
    before = counts_before(s, Pairs(positives, negatives), SIGMOID)
    (a, b, c), _ = s.tolist()
    expected = torch.zeros(2, 2, 3, dtype=torch.float64)
    expected[0, 0, 0], expected[0, 0, 2] = height(c - a, SIGMOID), height(a - c, SIGMOID)
    expected[1, 0, 0], expected[1, 0, 2] = height(b - a, SIGMOID), height(b - c, SIGMOID)
    torch.testing.assert_close(torch.stack(before), expected)


@pytest.mark.parametrize("step", [SmoothStep(1e-4), SmoothStep(0)])
def test_a_steep_step_counts_exactly(step: SmoothStep) -> None:
    """Positives at 0.9 and 0.1, negatives at 0.5, 0.95 and -1."""
    s = torch.tensor([[0.9, 0.5, 0.1, 0.95, -1.0]])
    positives = torch.tensor([[True, False, True, False, False]])
    before = counts_before(s, Pairs(positives, ~positives), step)
    torch.testing.assert_close(before.positives, torch.tensor([[0.0, 0, 1, 0, 0]]))
    torch.testing.assert_close(before.negatives, torch.tensor([[1.0, 0, 2, 0, 0]]))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which torch's own check looks at
def test_operators_are_sound() -> None:
    """Their fake results, gradients and behaviour under a compiler, as torch checks them."""
    pairs = all_pairs(torch.tensor(LABELS["unbalanced"]))
    s = similarities(9, 9)
    library.opcheck(core.kernels.smooth_ranks._counts_before, (s, *pairs, [*SIGMOID, *LIFTED]))


def test_query_is_its_own_positive_if_it_has_others() -> None:
    pairs = with_query(all_pairs(torch.tensor([0, 0, 1])))
    expected = [[True, True, False], [True, True, False], [False, False, False]]
    assert pairs.positives.tolist() == expected


def test_mean_over_positives() -> None:
    values = torch.tensor([[1.0, 2.0, math.inf], [1.0, 1.0, 1.0]])
    where = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_over_positives(values, where).tolist() == [1.5, 0.0]
