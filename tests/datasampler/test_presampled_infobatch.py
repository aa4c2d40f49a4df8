"""Presampled infobatch: pairs are drawn with the weights of their distances."""

import itertools

import numpy as np
import pytest
import torch

from datasampler.presampled_infobatch import PresampledInfobatch
from tests.samplers import assert_distribution, epoch

DIM = 4
ROWS = np.random.default_rng(3).standard_normal((5, DIM))
LABELS = np.array([0, 1, 2, 3, 0])  # images 0 and 4 are no pair


def weight(one: int, other: int, labels: np.ndarray) -> float:
    if labels[one] == labels[other]:
        return 0.0
    a, b = (ROWS[i] / np.linalg.norm(ROWS[i]) for i in (one, other))
    d = float(np.clip(np.linalg.norm(a - b), 0.5, 1.99))
    return float(1 / (d ** (DIM - 2) * (1 - d * d / 4) ** ((DIM - 3) / 2)))


def drawn(points: int, epochs: int, labels: np.ndarray = LABELS, **options: object) -> np.ndarray:
    sampler = PresampledInfobatch(labels, points, 1, 0, **options)
    sampler.storage.fill(torch.from_numpy(7 * ROWS))
    return np.array([batch for number in range(epochs) for batch in epoch(sampler, number)])


def test_the_first_pair_has_the_probability_of_its_distance() -> None:
    weights = {
        frozenset(pair): weight(*pair, LABELS) for pair in itertools.combinations(range(5), 2)
    }
    total = sum(weights.values())
    batches = map(frozenset, drawn(2, 2000).tolist())
    assert_distribution(batches, {pair: w / total for pair, w in weights.items()})


def test_the_next_ends_are_those_of_the_next_pairs() -> None:
    """The third point is a new end of the next pair, whichever of two."""
    labels = np.arange(5)
    batches = drawn(3, 12_000, labels)
    starts = batches[(np.sort(batches[:, :2], axis=1) == [1, 3]).all(axis=1), 2]
    chances: dict[int, float] = {}
    pairs = [pair for pair in itertools.combinations(range(5), 2) if pair != (1, 3)]
    total = sum(weight(*pair, labels) for pair in pairs)
    for pair in pairs:
        new = set(pair) - {1, 3}
        for image in new:
            chances[image] = chances.get(image, 0) + weight(*pair, labels) / total / len(new)
    assert_distribution(starts.tolist(), chances)


def test_classes_repeat_with_replacement_only() -> None:
    alike = [(LABELS[batch] == 0).sum() > 1 for batch in drawn(4, 300)]
    assert not any(alike)
    repeated = [(LABELS[batch] == 0).sum() > 1 for batch in drawn(4, 300, replacement=True)]
    assert any(repeated)


def test_an_image_of_each_class_follows_its_point() -> None:
    labels = np.repeat(np.arange(10), 6)
    sampler = PresampledInfobatch(labels, 16, 2, 0, big_batch_size=30)
    sampler.storage.fill(torch.randn(60, 128, generator=torch.Generator().manual_seed(0)))
    for batch in epoch(sampler, 0):
        pairs = labels[np.reshape(batch, (8, 2))]
        assert (pairs[:, 0] == pairs[:, 1]).all()


@pytest.mark.parametrize("dim", [2, 128, 2048])
def test_weights_of_any_dimension_are_finite(dim: int) -> None:
    """Half of the pairs have a negative cosine; some are opposite, some equal."""
    rows = torch.randn(40, dim, generator=torch.Generator().manual_seed(0))
    rows[0], rows[1] = -rows[2], rows[3]
    sampler = PresampledInfobatch(np.arange(40), 10, 1, 0)
    weights = sampler._log_weights(rows, torch.arange(40))
    assert weights[~torch.eye(40, dtype=bool)].isfinite().all()
    sampler.storage.fill(rows)
    assert all(len(set(batch)) == 10 for batch in epoch(sampler, 0))


def test_cut_offs_are_ascending() -> None:
    with pytest.raises(ValueError, match=r"ascending and in \(0, 2\), got 1.5 and 1.0"):
        PresampledInfobatch(LABELS, 2, 1, 0, lower_cutoff=1.5, upper_cutoff=1.0)
