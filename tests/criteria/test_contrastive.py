"""Contrastive against its definition, pair by pair."""

import numpy as np
import pytest
import torch

from core.reducer import Mean, NonZeroMean
from criteria.contrastive import Contrastive
from tests.batches import LABELS, batch, euclidean, negative_pairs, positive_pairs


def mean(values: list[float], of_nonzero: bool) -> float:
    kept = [value for value in values if value > 0] if of_nonzero else values
    return sum(kept) / max(len(kept), 1)


@pytest.mark.parametrize("reducer", [Mean, NonZeroMean])
@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], power: float, reducer: type) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    pull = [
        max(0.0, euclidean(x[i], x[j]) - 0.3) ** power / power for i, j in positive_pairs(labels)
    ]
    push = [
        max(0.0, 1.3 - euclidean(x[i], x[j])) ** power / power for i, j in negative_pairs(labels)
    ]
    expected = mean(pull, reducer is NonZeroMean) + mean(push, reducer is NonZeroMean)
    criterion = Contrastive(
        positive_margin=0.3, negative_margin=1.3, power=power, reducer=reducer()
    )
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_paper_form_is_the_default() -> None:
    """Two unit vectors at a right angle: 1/2 (√2)² as positives, 0 as negatives beyond 1."""
    embeddings, _ = batch([0, 0], dim=2)
    embeddings.data = embeddings.new_tensor([[2.0, 0.0], [0.0, 5.0]])
    labels = batch([0, 0])[1]
    assert Contrastive()(embeddings, labels).item() == pytest.approx(1.0)
    assert Contrastive()(embeddings, batch([0, 1])[1]).item() == 0


def test_equal_images_are_no_active_pairs() -> None:
    """Batches held some images twice, and the mean was taken over the losses above zero."""
    criterion = Contrastive(power=1, reducer=NonZeroMean())
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(8).repeat_interleave(4)
    same = (labels[:, None] == labels).numpy() & ~np.eye(32, dtype=bool)
    for _ in range(50):
        x = torch.randn(32, 128, generator=draw)
        x[1::4] = x[::4]
        points = x.double().numpy()
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        apart = np.linalg.norm(points[:, None] - points, axis=2)
        pull, push = apart[same], np.maximum(1 - apart, 0)[labels[:, None] != labels]
        expected = sum(part[part > 0].mean() for part in (pull, push) if (part > 0).any())
        assert criterion(x, labels).item() == pytest.approx(expected, abs=1e-5)
