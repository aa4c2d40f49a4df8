"""The inverse of a definite matrix against a general one."""

import torch

from core.kernels.inverse import inverse_of_positive_definite


def definite(n: int) -> torch.Tensor:
    half = torch.randn(n, n, generator=torch.Generator().manual_seed(0)).double()
    return half @ half.T + n * torch.eye(n)


def test_value_and_gradient_equal_those_of_any_inverse() -> None:
    matrix = definite(6).requires_grad_()
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).double()
    values = inverse_of_positive_definite(matrix), torch.linalg.inv(matrix)
    torch.testing.assert_close(*values)
    slopes = [torch.autograd.grad((weights * value).sum(), matrix)[0] for value in values]
    torch.testing.assert_close(*slopes)
