"""One clear error for each way in which a batch can be wrong."""

import re

import pytest
import torch

from core.batch_checks import check_classes, check_inputs, check_targets, check_tuples
from core.types import Pairs, Triplets

X, Y = torch.zeros(3, 4), torch.tensor([0, 1, 2])
WRONG = {
    "embeddings must be floating point, got torch.int64": (X.long(), Y),
    "embeddings must have shape (N, D), neither 0, got (4,)": (X[0], Y),
    "embeddings must have shape (N, D), neither 0, got (0, 4)": (X[:0], Y[:0]),
    "embeddings must be finite, got NaN or infinity": (X / 0, Y),
    "labels must be integers, got torch.float32": (X, Y.float()),
    "labels must be integers, got torch.bool": (X, Y > 0),
    "labels must have shape (3,), one for each of the embeddings, got (2,)": (X, Y[1:]),
    "references and reference_labels go together": (X, Y, X),
    "references must have the 4 dimensions of the embeddings, got 2": (X, Y, X[:, :2], Y),
    "references must be finite": (X, Y, X + torch.inf, Y),
    "reference_labels must have shape (3,), one for each of the references": (X, Y, X, Y[:1]),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_batch(message: str) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(message)):
        check_inputs(*WRONG[message])


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64])
def test_right_batch(dtype: torch.dtype) -> None:
    check_inputs(X, Y.to(dtype))
    check_inputs(X.half(), Y, X[:1], Y[:1])


@pytest.mark.parametrize("num_classes", [1, 2])
def test_label_beyond_the_classes(num_classes: int) -> None:
    check_classes(Y, 3)
    with pytest.raises(ValueError, match=rf"^labels must be in 0\.\.{num_classes - 1} .*0\.\.2$"):
        check_classes(Y, num_classes)


def test_targets_are_labels_or_soft_labels() -> None:
    soft = torch.tensor([[0.5, 0.5, 0], [0, 0, 1], [0.2, 0.3, 0.5]])
    check_targets(X, Y, 3)
    check_targets(X, soft, 3)
    check_targets(X, soft.bfloat16(), 3)  # which sums to 1 but roughly
    for bad, num_classes in (
        (Y, 2),
        (soft, 4),
        (soft[:2], 3),
        (soft * 0.9, 3),
        (soft - torch.tensor([0.1, 0.1, -0.2]), 3),
        (soft / 0, 3),
    ):
        with pytest.raises(ValueError, match=r"^labels must"):
            check_targets(X, bad, num_classes)
    for bad in (Y.float(), soft > 0):
        with pytest.raises(TypeError, match=r"^labels must be integers"):
            check_targets(X, bad, 3)


def test_tuples_of_another_shape_or_kind() -> None:
    mask, index = torch.ones(3, 5, dtype=torch.bool), torch.tensor([0, 2])
    check_tuples(Pairs(mask, mask), 3, 5)
    check_tuples(Triplets(index, index + 2, index), 3, 5)
    with pytest.raises(ValueError, match=r"^tuples.positives must be a boolean mask"):
        check_tuples(Pairs(mask.T, mask), 3, 5)
    with pytest.raises(ValueError, match=r"^tuples.negatives must be a boolean mask"):
        check_tuples(Pairs(mask, mask.float()), 3, 5)
    with pytest.raises(ValueError, match=r"^tuples.anchors must be in 0\.\.2"):
        check_tuples(Triplets(index + 1, index, index), 3, 5)
    with pytest.raises(ValueError, match=r"^tuples.negatives must be int64"):
        check_tuples(Triplets(index, index, index[:1]), 3, 5)
    check_tuples(Triplets(index, index, index, index > 0), 3, 5)
    for valid in (index, index[:1] > 0):
        with pytest.raises(ValueError, match=r"^tuples\.valid must be None or a boolean mask"):
            check_tuples(Triplets(index, index, index, valid), 3, 5)
    with pytest.raises(TypeError, match=r"^tuples must be Pairs or Triplets, got tuple"):
        check_tuples((index, index, index), 3, 5)
