"""What the samplers promise that plan their batches from stored embeddings."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from batch_mining.distance import DistanceWeightedMiner
from datasampler.d2_coreset import D2Coreset
from datasampler.distance_histogram_match import DistanceHistogramMatch
from datasampler.fid_match import FIDMatch
from datasampler.greedy_class_coreset import GreedyClassCoreset
from datasampler.greedy_coreset import GreedyCoreset
from datasampler.planning.embedding_sampler import EmbeddingSampler, project
from datasampler.planning.stored_embeddings import StoredEmbeddings
from datasampler.presampled_infobatch import PresampledInfobatch
from datasampler.tuples_to_weights import TuplesToWeights
from tests.samplers import epoch

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 12))
EMBEDDINGS = torch.from_numpy(np.random.default_rng(1).standard_normal((len(LABELS), 6)))
SAMPLERS: dict[str, Callable[..., EmbeddingSampler]] = {
    "greedy": partial(GreedyCoreset, big_batch_size=100),
    "greedy, a fraction": partial(GreedyCoreset, big_batch_size=0.2),
    "greedy, projected": partial(GreedyCoreset, big_batch_size=100, projection_dim=3),
    "softened": partial(GreedyCoreset, big_batch_size=100, softened=True),
    "d2": partial(D2Coreset, big_batch_size=100),
    "d2, projected": partial(D2Coreset, big_batch_size=100, projection_dim=2, power=3),
    "fid": partial(FIDMatch, big_batch_size=100),
    "fid, projected": partial(FIDMatch, big_batch_size=100, projection_dim=2),
    "histogram": partial(DistanceHistogramMatch, big_batch_size=100),
    "classes": GreedyClassCoreset,
    "infobatch": partial(PresampledInfobatch, big_batch_size=100),
}
every_sampler = pytest.mark.parametrize("name", SAMPLERS)
with_weights = pytest.mark.parametrize("name", [*SAMPLERS, "weights"])


def build(name: str, labels: np.ndarray = LABELS, **options: object) -> EmbeddingSampler:
    if name == "weights":
        sampler = TuplesToWeights(
            labels,
            24,
            DistanceWeightedMiner(),
            options.get("seed", 0),
            subset_size=100,
            storage=StoredEmbeddings(),
        )
    else:
        options = {"batch_size": 24, "samples_per_class": 3, "seed": 0} | options
        sampler = SAMPLERS[name](labels, **options)
    sampler.storage.fill(EMBEDDINGS[: len(labels)])
    return sampler


@every_sampler
def test_a_batch_is_p_distinct_classes_of_k_distinct_images(name: str) -> None:
    for batch in epoch(build(name), 0):
        assert len(batch) == len(set(batch)) == 24
        blocks = LABELS[batch].reshape(8, 3)
        assert (blocks == blocks[:, :1]).all()
        assert len(set(blocks[:, 0].tolist())) == 8


@every_sampler
def test_only_a_class_that_is_too_small_repeats_its_images(name: str) -> None:
    labels = np.where(LABELS < 20, LABELS, 20 + np.arange(len(LABELS)) % 60)  # two of a class
    for batch in epoch(build(name, labels), 0):
        for image, times in Counter(batch).items():
            small = (labels == labels[image]).sum()
            assert times <= -(-3 // min(small, 3))
        assert set(Counter(labels[batch].tolist()).values()) == {3}


@with_weights
def test_an_epoch_depends_on_seed_number_and_rows_alone(name: str) -> None:
    first, second = (epoch(build(name), number) for number in range(2))
    sampler = build(name)
    assert epoch(sampler, 1) == second != first
    assert epoch(sampler, 0) == first == list(sampler)
    assert epoch(build(name, seed=1), 0) != first
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    assert epoch(build(name), 0) == first
    sampler.storage.fill(EMBEDDINGS.flip(0))
    assert epoch(sampler, 0) != first


@with_weights
def test_rows_of_a_step_change_the_next_epoch_and_not_this_one(name: str) -> None:
    undisturbed, sampler = build(name), build(name)
    for number in range(2):
        undisturbed.set_epoch(number)
        expected = list(undisturbed)
        sampler.set_epoch(number)
        batches = iter(sampler)
        drawn = [next(batches)]
        sampler.storage.update(np.arange(len(LABELS)), 3 * EMBEDDINGS.flip(0) ** 2)
        drawn += batches
        sampler.set_epoch(number)  # as after a resumption
        assert drawn == list(sampler)
        assert (drawn == expected) == (number == 0)


@every_sampler
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    threads = torch.get_num_threads()
    try:
        drawn = []
        for count in (1, 2):
            torch.set_num_threads(count)
            drawn.append(epoch(build(name), 0))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert drawn[0] == drawn[1]


@with_weights
def test_equal_rows_are_no_error(name: str) -> None:
    """All embeddings are one point: before a check, or after a collapse."""
    sampler = build(name)
    sampler.storage.clear()
    sampler.storage.fill(torch.ones(len(LABELS), 1))
    assert all(len(batch) == 24 for batch in epoch(sampler, 0))


@every_sampler
def test_embeddings_of_a_network_that_diverged_are_no_error(name: str) -> None:
    sampler = build(name)
    rows = EMBEDDINGS.clone()
    rows[3:200], rows[200:202] = torch.nan, torch.inf
    for broken in (rows, torch.full_like(rows, torch.nan)):
        sampler.storage.clear()
        sampler.storage.fill(broken)
        assert all(len(batch) == 24 for batch in epoch(sampler, 0))


@with_weights
def test_without_stored_embeddings_there_is_no_batch(name: str) -> None:
    sampler = build(name)
    sampler.storage.clear()
    with pytest.raises(ValueError, match="there are no stored embeddings"):
        next(iter(sampler))


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "d2"])
def test_with_replacement_classes_or_images_repeat(name: str) -> None:
    """The draws of Roth et al.; every block is still of one class."""
    labels = LABELS % 10
    sampler = build(name, labels, replacement=True, batch_size=90, samples_per_class=3)
    batches = [batch for number in range(3) for batch in epoch(sampler, number)]
    blocks = labels[np.array(batches)].reshape(len(batches), 30, 3)
    assert (blocks == blocks[..., :1]).all(), "30 blocks of 10 classes"


@every_sampler
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 25}, "batch_size=25 must be a positive multiple of samples_per_class=3"),
        ({"batch_size": 93}, "needs 31 classes, there are 30"),
    ],
)
def test_a_batch_that_cannot_exist_is_one_line(
    name: str, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **changes)


@pytest.mark.parametrize("name", ["greedy", "d2", "infobatch"])
@pytest.mark.parametrize("size", [7, 0.02, 0])
def test_a_big_batch_holds_the_points_of_a_batch(name: str, size: float) -> None:
    factory = SAMPLERS[name].func
    with pytest.raises(ValueError, match=f"big_batch_size={size} of 360 images must hold the 8 po"):
        factory(LABELS, 24, 3, 0, big_batch_size=size)
    factory(LABELS, 24, 3, 0, big_batch_size=1000)  # all images


@pytest.mark.parametrize("name", ["fid", "histogram"])
@pytest.mark.parametrize("changes", [{"big_batch_size": 23}, {"num_candidates": 0}])
def test_a_big_batch_holds_a_candidate(name: str, changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least batch_size=24, and num_candidates="):
        SAMPLERS[name].func(LABELS, 24, 3, 0, **changes)


def test_a_projection_keeps_distances_on_average() -> None:
    points = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    maps = [project(points, 8, rng) for _ in range(300)]
    mean = torch.stack([torch.pdist(projected).square() for projected in maps]).mean(dim=0)
    ratio = mean / torch.pdist(points).square()
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert ratio.std() < 0.05
    assert project(points, None, rng) is points
