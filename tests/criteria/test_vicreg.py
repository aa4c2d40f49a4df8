"""VICReg against its definition in NumPy, and against pytorch-metric-learning on two views."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as pml

from core.types import Pairs
from criteria.vicreg import VICReg
from tests.batches import LABELS, batch, positive_pairs


def variance(z: np.ndarray) -> float:
    deviations = np.sqrt(z.var(axis=0, ddof=1) + 1e-4) if len(z) > 1 else np.full(z.shape[1], 0.01)
    return float(np.maximum(0, 1 - deviations).mean())


def covariance(z: np.ndarray) -> float:
    if len(z) < 2:
        return 0.0
    matrix = np.cov(z.T)
    return sum(
        matrix[d, e] ** 2 for d in range(len(matrix)) for e in range(len(matrix)) if d != e
    ) / len(matrix)


@pytest.mark.parametrize("scale", [1.0, 0.05])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], scale: float) -> None:
    embeddings, targets = batch(labels)
    embeddings = scale * embeddings
    z = embeddings.detach().numpy()
    squares = [((z[i] - z[j]) ** 2).mean() for i, j in positive_pairs(labels)]
    expected = 3 * sum(squares) / max(len(squares), 1) + 2 * 5 * variance(z) + 2 * 7 * covariance(z)
    assert VICReg(3, 5, 7)(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_two_views_with_halved_variance_are_those_of_pytorch_metric_learning() -> None:
    views = [torch.randn(10, 4, generator=torch.Generator().manual_seed(s)) / 2 for s in (0, 1)]
    for view in views:
        view.requires_grad_()
    labels = torch.arange(10)
    ours = VICReg(variance=12.5)(
        views[0], labels, references=views[1], reference_labels=labels.clone()
    )
    theirs = pml.VICRegLoss()(views[0], ref_emb=views[1])
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad(loss, views) for loss in (ours, theirs)]
    torch.testing.assert_close(*slopes)


def test_given_tuples_choose_the_positives() -> None:
    embeddings, labels = batch([0, 0, 0])
    one = torch.zeros(3, 3, dtype=torch.bool)
    one[0, 1] = True
    expected = (embeddings[0] - embeddings[1]).square().mean()
    loss = VICReg(1, 0, 0)(embeddings, labels, Pairs(one, torch.zeros_like(one)))
    torch.testing.assert_close(loss, expected)
