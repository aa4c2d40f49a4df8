"""Distance histogram match: costs are those of NumPy and SciPy, the cheapest candidate is taken."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import wasserstein_distance

from core.kernels.euclidean import euclidean
from datasampler.distance_histogram_match import (
    DistanceHistogramMatch,
    HistogramCost,
    histogram_costs,
    moment_cost,
)
from datasampler.planning import candidate_sampler
from tests.samplers import epoch

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 10))
ROWS = np.random.default_rng(1).standard_normal((len(LABELS), 4)).astype(np.float32)
KINDS = ("wasserstein", "bin_values")
every_kind = pytest.mark.parametrize("kind", KINDS)


def histograms(big: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Frequencies of the distances in 50 bins over the range of the big batch; width of a bin."""
    distances = pdist(big.astype(float))
    counts, edges = np.histogram(distances, 50, (distances.min(), distances.max()))
    inner = np.histogram(pdist(part.astype(float)), 50, (distances.min(), distances.max()))[0]
    return counts / counts.sum(), inner / inner.sum(), edges[1] - edges[0]


def expected_cost(big: np.ndarray, part: np.ndarray, kind: HistogramCost) -> float:
    ours, theirs, width = histograms(big, part)
    if kind == "bin_values":  # as in the released code
        return wasserstein_distance(ours, theirs) + wasserstein_distance(theirs, ours)
    centres = np.arange(50) * width
    return float(wasserstein_distance(centres, centres, ours, theirs))


@every_kind
def test_costs_are_those_of_the_definition(kind: HistogramCost) -> None:
    rng = np.random.default_rng(0)
    places = np.stack([rng.choice(60, 20, replace=False) for _ in range(4)])
    big = ROWS[:60]
    ours = histogram_costs(euclidean(torch.from_numpy(big)), torch.from_numpy(places), kind)
    expected = [expected_cost(big, big[place], kind) for place in places]
    np.testing.assert_allclose(ours, expected, rtol=0.02)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.5])
def test_distances_that_are_all_shifted_cost_the_shift(shift: float) -> None:
    """All distances are 2, but for those within five images, which are larger by the shift."""
    distances = torch.full((200, 200), 2.0)
    distances[:5, :5] += shift
    distances[198, 199] = distances[199, 198] = 7.0  # bins are 0.1 wide
    parts = torch.stack([torch.arange(5), torch.arange(10, 15)])
    costs = histogram_costs(distances, parts, "wasserstein")
    assert costs.tolist() == pytest.approx([shift, 0], abs=0.01)
    coded = histogram_costs(distances, parts, "bin_values")
    assert coded.tolist() == pytest.approx([0, 0], abs=0.01), "the places of bins do not count"


@every_kind
def test_the_whole_big_batch_and_equal_points_cost_nothing(kind: HistogramCost) -> None:
    whole = torch.arange(30)[None]
    points = torch.from_numpy(ROWS[:30])
    for rows in (points, torch.ones(30, 2)):
        assert histogram_costs(euclidean(rows), whole, kind).item() == pytest.approx(0, abs=1e-6)
        assert moment_cost(rows, rows[None]).item() == pytest.approx(0, abs=1e-6)


def test_moments_are_compared_in_every_dimension() -> None:
    parts = np.stack([ROWS[:20], ROWS[20:40]])
    expected = [
        np.linalg.norm(ROWS.mean(axis=0) - part.mean(axis=0))
        + np.linalg.norm(ROWS.std(axis=0) - part.std(axis=0))
        for part in parts
    ]
    ours = moment_cost(torch.from_numpy(ROWS), torch.from_numpy(parts))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@every_kind
def test_the_cheapest_candidate_is_the_batch(
    kind: HistogramCost, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = []

    def record(*arguments: object) -> object:
        recorded.append(draw(*arguments))
        return recorded[-1]

    draw = candidate_sampler.draw_candidates
    monkeypatch.setattr(candidate_sampler, "draw_candidates", record)
    sampler = DistanceHistogramMatch(
        LABELS, 30, 3, 0, big_batch_size=90, num_candidates=7, histogram_cost=kind
    )
    sampler.storage.fill(torch.from_numpy(ROWS))
    batches = [batch for number in range(2) for batch in epoch(sampler, number)]
    chosen = []
    for batch, (images, places) in zip(batches, recorded, strict=True):
        big = ROWS[images]
        costs = [
            np.linalg.norm(big.mean(axis=0) - big[place].mean(axis=0))
            + np.linalg.norm(big.std(axis=0) - big[place].std(axis=0))
            + 75 * expected_cost(big, big[place], kind)
            for place in places
        ]
        chosen.append(batch == images[places[np.argmin(costs)]].tolist())
    assert np.mean(chosen) > 0.9, "but for distances at the edge of a bin"


def test_an_unknown_cost_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"histogram_cost must be one of .*, got 'l2'"):
        DistanceHistogramMatch(LABELS, 30, 3, 0, histogram_cost="l2")
