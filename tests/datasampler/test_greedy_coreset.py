"""Greedy coreset: every point of a batch is the farthest from those before it, in plain Python."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from core.kernels.euclidean import squared_euclidean
from datasampler.greedy_coreset import GreedyCoreset
from datasampler.planning.coreset import farthest, select_points
from tests.samplers import epoch

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 10))
ROWS = np.random.default_rng(1).standard_normal((len(LABELS), 5)).astype(np.float32)


def sampler(**changes: object) -> GreedyCoreset:
    """The big batch holds all images."""
    options = {"batch_size": 30, "samples_per_class": 3, "seed": 0, "big_batch_size": len(LABELS)}
    built = GreedyCoreset(LABELS, **(options | changes))
    built.storage.fill(torch.from_numpy(ROWS))
    return built


def nearest(image: int, others: Sequence[int]) -> float:
    return min(float(((ROWS[image] - ROWS[other]) ** 2).sum()) for other in others)


def test_points_on_a_line_are_selected_from_the_outside() -> None:
    points = torch.tensor([[0.0], [1], [2], [10]])
    classes = torch.arange(4)
    order = select_points(points, classes, torch.tensor([0]), 4, torch.minimum, farthest)
    assert order.tolist() == [0, 3, 2, 1]
    order = select_points(points, None, torch.tensor([0]), 4, torch.minimum, farthest)
    assert order.tolist() == [0, 3, 2, 1]


def test_a_class_is_selected_once_while_there_are_others() -> None:
    points = torch.tensor([[0.0], [1], [2], [10], [11]])
    classes = torch.tensor([0, 1, 2, 3, 3])
    order = select_points(points, classes, torch.tensor([0]), 5, torch.minimum, farthest)
    assert order.tolist() == [0, 4, 2, 1, 3]


def test_every_point_is_the_farthest_of_the_classes_that_are_left() -> None:
    """This fails where points are looked up in another big batch than they were selected from."""
    firsts = set()
    for number in range(5):
        for batch in epoch(sampler(), number):
            points = np.reshape(batch, (10, 3))[:, 0].tolist()
            firsts.add(points[0])
            for place in range(1, 10):
                before = points[:place]
                used = set(LABELS[before].tolist())
                left = [image for image in range(len(LABELS)) if LABELS[image] not in used]
                best = max(left, key=lambda image: nearest(image, before))
                assert nearest(points[place], before) == pytest.approx(nearest(best, before), 1e-5)
    assert len(firsts) > 15, "the first point is random"


def test_with_replacement_classes_play_no_part() -> None:
    for batch in epoch(sampler(replacement=True), 0):
        points = np.reshape(batch, (10, 3))[:, 0].tolist()
        for place in range(1, 10):
            before = points[:place]
            best = max(range(len(LABELS)), key=lambda image: nearest(image, before))
            assert nearest(points[place], before) == pytest.approx(nearest(best, before), 1e-5)


def test_softened_points_are_random_ones_beyond_the_97th_percentile() -> None:
    ranks = []
    for number in range(5):
        for batch in epoch(sampler(softened=True), number):
            points = np.reshape(batch, (10, 3))[:, 0].tolist()
            for place in range(1, 10):
                before = points[:place]
                used = set(LABELS[before].tolist())
                left = [image for image in range(len(LABELS)) if LABELS[image] not in used]
                distances = np.array([nearest(image, before) for image in left])
                own = nearest(points[place], before)
                assert own >= np.percentile(distances, 97) * (1 - 1e-5)
                ranks.append((distances > own * (1 + 1e-5)).sum())
    assert {0, 1, 2} <= set(ranks), "not always the farthest"


def test_a_big_batch_is_a_random_part_of_the_images() -> None:
    """One image far from all others is in a batch exactly if it is in its big batch, of a fifth."""
    built = sampler(big_batch_size=0.2, batch_size=4, samples_per_class=1)
    rows = ROWS.copy()
    rows[7] = 1000
    built.storage.fill(torch.from_numpy(rows))
    batches = [batch for number in range(8) for batch in epoch(built, number)]
    assert np.mean([7 in batch for batch in batches]) == pytest.approx(0.2, abs=0.06)
    assert len({image for batch in batches for image in batch}) > 100


def test_distances_of_long_rows_keep_their_digits() -> None:
    points = torch.from_numpy(ROWS) + 1000
    first = torch.tensor([3])
    order = select_points(points, None, first, 20, torch.minimum, farthest)
    exact = squared_euclidean(points.double())
    for place in range(1, 20):
        minimum = exact[:, order[:place]].amin(dim=1)
        assert minimum[order[place]] > minimum.max() - 1e-2
