"""D² coreset: points are drawn with the probabilities of the definition, computed by SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from datasampler.d2_coreset import D2Coreset, gaussian_log_density
from tests.samplers import assert_distribution, epoch

ROWS = np.array([[0.0, 0], [1, 0.2], [0.3, 1.1], [-1, 0.5], [1.5, 1.5]])


def drawn(power: float, points: int, epochs: int, rows: np.ndarray = ROWS) -> np.ndarray:
    """Selected points of many batches, of images that are each a class of their own."""
    sampler = D2Coreset(np.arange(len(rows)), points, 1, 0, power=power)
    sampler.storage.fill(torch.from_numpy(rows))
    return np.array([batch for number in range(epochs) for batch in epoch(sampler, number)])


def probabilities(before: list[int], power: float, rows: np.ndarray = ROWS) -> dict[int, float]:
    covariance = np.cov(rows.T)
    covariance += 1e-6 * np.trace(covariance) / rows.shape[1] * np.eye(rows.shape[1])
    weights = {}
    for image in range(len(rows)):
        if image not in before:
            total = sum(((rows[image] - rows[other]) ** 2).sum() for other in before)
            density = multivariate_normal.pdf(rows[image], rows.mean(axis=0), covariance)
            weights[image] = density * total**power
    return {image: weight / sum(weights.values()) for image, weight in weights.items()}


def test_the_first_point_is_the_nearest_to_a_draw_from_the_gaussian() -> None:
    generator = np.random.default_rng(0)
    draws = generator.multivariate_normal(ROWS.mean(axis=0), np.cov(ROWS.T), 200_000)
    nearest = ((draws[:, None] - ROWS) ** 2).sum(axis=2).argmin(axis=1)
    expected = np.bincount(nearest, minlength=5) / len(draws)
    assert_distribution(drawn(1, 1, 600)[:, 0].tolist(), dict(enumerate(expected)))


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_next_points_are_drawn_by_density_and_distance(power: float) -> None:
    batches = drawn(power, 3, 5000)
    for first in (0, 3):
        of_first = batches[batches[:, 0] == first]
        assert_distribution(of_first[:, 1].tolist(), probabilities([first], power))
    pair = batches[(batches[:, 0] == 0) & (batches[:, 1] == 2)]
    assert_distribution(pair[:, 2].tolist(), probabilities([0, 2], power))


def test_density_is_that_of_the_gaussian_of_the_points() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 4)) @ np.diag([1, 3, 0.1, 2])
    ours = gaussian_log_density(torch.from_numpy(rows)).numpy()
    theirs = multivariate_normal.logpdf(rows, rows.mean(axis=0), np.cov(rows.T))
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=5e-3)


@pytest.mark.parametrize("dim", [3, 600])
def test_a_singular_covariance_is_no_error(dim: int) -> None:
    """Embeddings of unit length in fewer images than dimensions, or in a plane."""
    rows = np.zeros((40, dim))
    rows[:, :2] = np.random.default_rng(0).standard_normal((40, 2))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.isfinite(gaussian_log_density(torch.from_numpy(rows)).numpy()).all()
    batches = drawn(1, 10, 5, rows)
    assert all(len(set(batch)) == 10 for batch in batches.tolist())


def test_equal_points_are_drawn_last_and_all_alike() -> None:
    rows = np.array([[0.0, 0]] * 4 + [[5.0, 5]])
    batches = drawn(1, 3, 3000, rows)
    of_equal = batches[batches[:, 0] == 0]
    assert (of_equal[:, 1] == 4).all(), "the only one at a distance"
    last = of_equal[:, 2].tolist()
    assert_distribution(last, {1: 1 / 3, 2: 1 / 3, 3: 1 / 3})


def test_a_negative_power_is_one_line() -> None:
    with pytest.raises(ValueError, match="power must be at least 0, got -1"):
        D2Coreset(np.arange(9), 3, 1, 0, power=-1)
