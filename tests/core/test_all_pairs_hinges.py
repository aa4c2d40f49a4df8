"""Sums of hinges over all pairs, against their definition, hinge by hinge."""

import math

import pytest
import torch

import core.kernels.all_pairs_hinges
from core.kernels.all_pairs_hinges import all_pairs_hinge_sum


def by_definition(
    thresholds: list[list[float]], values: list[list[float]]
) -> tuple[torch.Tensor, ...]:
    sums = [
        [sum(max(0.0, threshold - value) for value in row) for threshold in own]
        for own, row in zip(thresholds, values, strict=True)
    ]
    counts = [
        [sum(value < threshold for value in row) for threshold in own]
        for own, row in zip(thresholds, values, strict=True)
    ]
    return torch.tensor(sums, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


def draw(*shape: int, seed: int) -> torch.Tensor:
    """Rounded, so that thresholds and values tie."""
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()
    return (drawn * 10).round() / 10


@pytest.mark.parametrize("cells", [1, 64])
@pytest.mark.parametrize(("rows", "width", "length"), [(3, 2, 50), (4, 9, 5), (1, 30, 200)])
def test_sums_and_counts_equal_the_definition(
    rows: int, width: int, length: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.all_pairs_hinges, "CELLS_PER_THRESHOLD", cells)
    thresholds, values = draw(rows, width, seed=0), draw(rows, length, seed=1)
    thresholds[:, 0], values[:, 0] = -math.inf, math.inf
    got = all_pairs_hinge_sum(thresholds, values)
    torch.testing.assert_close(got, by_definition(thresholds.tolist(), values.tolist()))


@pytest.mark.parametrize(
    "thresholds", [[0.5] * 4, [-math.inf] * 4, [math.nextafter(0.5, 1), 0.5, 0, 1]]
)
def test_one_row_of_equal_absent_or_neighbouring_thresholds(thresholds: list[float]) -> None:
    values = [0.5, 0.25, math.nextafter(0.5, 1), math.inf, -7.0, 0.5]
    got = all_pairs_hinge_sum(
        *(torch.tensor([row], dtype=torch.float64) for row in (thresholds, values))
    )
    torch.testing.assert_close(got, by_definition([thresholds], [values]))


@pytest.mark.parametrize("rows", [1, 3])
def test_gradient_equals_finite_differences(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    thresholds, values = (
        torch.randn(rows, size, generator=generator).double().requires_grad_() for size in (4, 9)
    )
    assert torch.autograd.gradcheck(lambda k, v: all_pairs_hinge_sum(k, v)[0], (thresholds, values))


def test_many_values_in_float32_keep_their_digits() -> None:
    thresholds, values = draw(1, 3, seed=0) + 100, draw(1, 100_000, seed=1) + 100
    exact, _ = all_pairs_hinge_sum(thresholds, values)
    sums, _ = all_pairs_hinge_sum(thresholds.float(), values.float())
    torch.testing.assert_close(sums.double(), exact, rtol=1e-4, atol=0)
