"""Manifold against its definition in NumPy, and against pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as pml

from criteria.manifold import Manifold
from tests.batches import LABELS, batch, cosine


def n_pair(similarities: np.ndarray, own: int, margin: float) -> float:
    excesses = [s - similarities[own] + margin for k, s in enumerate(similarities) if k != own]
    return math.log(1 + sum(math.exp(excess) for excess in excesses if excess >= 0))


@pytest.mark.parametrize("num_proxies", [3, 8])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], num_proxies: int) -> None:
    embeddings, targets = batch(labels)
    criterion = Manifold(6, 8, num_proxies, context_weight=0.7, alpha=0.6, margin=0.01).double()
    points = embeddings.tolist() + criterion.proxies.tolist()
    s = np.array([[math.exp(max(0, cosine(x, y)) / 0.5) for y in points] for x in points])
    np.fill_diagonal(s, 0)
    d = np.diag(s.sum(axis=1) ** -0.5)
    steps, walks = d @ s @ d, np.zeros_like(s)
    for length in range(200):  # the walk itself instead of its closed form
        walks += (1 - 0.6) * 0.6**length * np.linalg.matrix_power(steps, length)
    n, total = len(labels), 0.0
    for i, label in enumerate(labels):
        own = int(criterion.proxy_of_class[label])
        contexts = [cosine(list(walks[i]), list(walks[n + k])) for k in range(num_proxies)]
        total += n_pair(walks[i, n:], own, 0.01) + 0.7 * n_pair(np.array(contexts), own, 0.01)
    assert criterion(embeddings, targets).item() == pytest.approx(total / n, rel=1e-9)


def test_equals_pytorch_metric_learning_for_given_proxies() -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 3)
    criterion = Manifold(6, 8, num_proxies=4)
    theirs = pml.ManifoldLoss(l=8, K=4)
    theirs.proxies.data = criterion.proxies.data.clone()
    x = embeddings.detach().float().requires_grad_()
    expected = theirs(x, indices_tuple=criterion.proxy_of_class[labels])
    got = criterion(x, labels)
    torch.testing.assert_close(got, expected)
    slopes = [torch.autograd.grad(loss, x)[0] for loss in (got, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-5 * float(slopes[0].abs().max()))


def test_classes_are_spread_evenly_over_the_proxies_by_seed() -> None:
    drawn = [Manifold(100, 2, num_proxies=8, seed=seed).proxy_of_class for seed in (0, 0, 1)]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert set(drawn[0].bincount().tolist()) == {12, 13}


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="num_proxies"):
        Manifold(6, 8, num_proxies=1)
    with pytest.raises(ValueError, match="alpha"):
        Manifold(6, 8, alpha=1)
    with pytest.raises(ValueError, match="context_weight"):
        Manifold(6, 8, context_weight=-1)
