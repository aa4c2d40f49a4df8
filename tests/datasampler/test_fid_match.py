"""FID match: the distance is that of the D x D formula, and the nearest candidate is the batch."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from datasampler.fid_match import FIDMatch, frechet_distances
from datasampler.planning import candidate_sampler
from tests.samplers import epoch

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 10))
ROWS = np.random.default_rng(1).standard_normal((len(LABELS), 4)).astype(np.float32)


def fid(big: np.ndarray, part: np.ndarray) -> float:
    """The published formula; the root of a product of positive definite matrices is real."""
    mean, other = big.mean(axis=0), part.mean(axis=0)
    covariance, of_part = np.cov(big.T), np.cov(part.T)
    root = sqrtm(covariance @ of_part).real
    return float(((mean - other) ** 2).sum() + np.trace(covariance + of_part - 2 * root))


@pytest.mark.parametrize(("dim", "size"), [(3, 12), (3, 3), (6, 6), (6, 20)])
def test_distances_are_those_of_the_formula(dim: int, size: int) -> None:
    rng = np.random.default_rng(0)
    big = rng.standard_normal((50, dim)) @ rng.standard_normal((dim, dim)) + 3
    parts = [big[rng.choice(50, size + 1, replace=False)] for _ in range(4)]
    ours = frechet_distances(torch.from_numpy(big), torch.from_numpy(np.stack(parts)))
    np.testing.assert_allclose(ours, [fid(big, part) for part in parts], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("number", "dim"), [(50, 4), (6, 40)])
def test_a_set_is_at_no_distance_from_itself(number: int, dim: int) -> None:
    big = torch.from_numpy(np.random.default_rng(0).standard_normal((number, dim))).float()
    others = torch.stack([big, big.flip(0), big + 1])
    np.testing.assert_allclose(frechet_distances(big, others), [0, 0, dim], atol=1e-5)


def test_both_sizes_of_the_matrix_give_the_same_distance() -> None:
    """As many images as dimensions, and the same rows with one dimension more, which is zero."""
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal((30, 8)))
    parts = torch.stack([rows[:9], rows[9:18]])
    wider, wider_parts = (torch.nn.functional.pad(x, (0, 4)) for x in (rows, parts))
    torch.testing.assert_close(
        frechet_distances(rows, parts), frechet_distances(wider, wider_parts)
    )


def test_the_nearest_candidate_is_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = []

    def record(*arguments: object) -> object:
        recorded.append(draw(*arguments))
        return recorded[-1]

    draw = candidate_sampler.draw_candidates
    monkeypatch.setattr(candidate_sampler, "draw_candidates", record)
    sampler = FIDMatch(LABELS, 30, 3, 0, big_batch_size=90, num_candidates=7)
    sampler.storage.fill(torch.from_numpy(ROWS))
    batches = [batch for number in range(3) for batch in epoch(sampler, number)]
    chosen = []
    for batch, (images, places) in zip(batches, recorded, strict=True):
        assert places.shape == (7, 30)
        big = ROWS[images].astype(float)
        distances = [fid(big, big[place]) for place in places]
        chosen.append(int(np.argmin(distances)))
        assert batch == images[places[chosen[-1]]].tolist()
    assert len(set(chosen)) > 3
