"""soft_histogram against the triangular kernel, node by node."""

import math

import pytest
import torch

from core.kernels.soft_histogram import soft_histogram


@pytest.mark.parametrize("num_nodes", [2, 5, 11])
def test_value_and_gradient_equal_the_kernel(num_nodes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    positions = (num_nodes - 1) * torch.rand(4, 7, dtype=torch.float64, generator=generator)
    positions[0, :3] = torch.tensor([0, num_nodes - 1, 1])  # exactly at nodes
    where = torch.rand(4, 7, generator=generator) < 0.6
    where[0] = True
    where[3] = False
    expected = [
        [
            math.fsum(max(0.0, 1 - abs(p - r)) for p, w in zip(row, marks, strict=True) if w)
            for r in range(num_nodes)
        ]
        for row, marks in zip(positions.tolist(), where.tolist(), strict=True)
    ]
    got = soft_histogram(positions, where, num_nodes)
    torch.testing.assert_close(got.tolist(), expected)
    between = positions[1:].requires_grad_()  # the kernel has a corner at each node
    assert torch.autograd.gradcheck(lambda p: soft_histogram(p, where[1:], num_nodes), between)


def test_beyond_the_ends_is_at_the_ends() -> None:
    positions = torch.tensor([[-0.5, 2.0001, 7.0, 0.25]])
    histogram = soft_histogram(positions, torch.ones(1, 4, dtype=torch.bool), 3)
    torch.testing.assert_close(histogram, torch.tensor([[1.75, 0.25, 2.0]]))
