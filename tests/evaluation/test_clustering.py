"""k-means and the metrics of a clustering, against loops over pairs, scikit-learn and faiss."""

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, permutations

import faiss
import pytest
import torch
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
)
from torch import Tensor

from evaluation.clustering import assignment as assignment_module
from evaluation.clustering.assignment import Assignment
from evaluation.clustering.contingency import contingency
from evaluation.clustering.kmeans import kmeans, move
from evaluation.clustering.sums import sums_by_group
from evaluation.metrics.ami import ami, expected_information
from evaluation.metrics.ari import ari
from evaluation.metrics.f1 import f1
from evaluation.metrics.nmi import mutual_information, nmi
from evaluation.metrics.purity import purity
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.two_stage import search

PARTITIONS = {
    "random": (torch.arange(60) % 7, torch.arange(60) * 13 % 11),
    "equal": (torch.arange(60) % 7, (torch.arange(60) + 3) % 7),
    "one class": (torch.zeros(20, dtype=torch.long), torch.arange(20) % 3),
    "one cluster": (torch.arange(20) % 3, torch.zeros(20, dtype=torch.long)),
    "one of each": (torch.zeros(5, dtype=torch.long), torch.zeros(5, dtype=torch.long)),
    "classes of one": (torch.arange(20), torch.arange(20) % 4),
    "all apart": (torch.arange(12), torch.arange(12).flip(0)),
    "unequal sizes": (torch.arange(300).float().sqrt().long(), torch.arange(300) % 3),
    "one apart": (torch.arange(9) // 8, torch.arange(9) // 3),
    "one sample": (torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long)),
    "odd numbers": (torch.tensor([-3, 900, 900, -3, 5]), torch.tensor([7, 7, 2, 7, 2])),
}


def blobs(
    seed: int, num: int = 400, classes: int = 20, noise: float = 0.5
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % classes
    centers = torch.randn(classes, 6, generator=generator)
    return centers[labels] + noise * torch.randn(num, 6, generator=generator), labels


@pytest.mark.parametrize("labels, clusters", PARTITIONS.values(), ids=PARTITIONS)  # noqa: PT006
def test_nmi_agrees_with_scikit_learn(labels: Tensor, clusters: Tensor) -> None:
    expected = normalized_mutual_info_score(labels.numpy(), clusters.numpy())
    assert nmi(labels, clusters).item() == pytest.approx(expected, abs=1e-12)
    assert nmi(clusters, labels).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", PARTITIONS)
@pytest.mark.parametrize(
    ("ours", "theirs"), [(ami, adjusted_mutual_info_score), (ari, adjusted_rand_score)]
)
def test_adjusted_scores_agree_with_scikit_learn(
    name: str, ours: Callable[..., Tensor], theirs: Callable[..., float]
) -> None:
    labels, clusters = PARTITIONS[name]
    expected = 1.0 if name == "all apart" else theirs(labels.numpy(), clusters.numpy())
    assert ours(labels, clusters).item() == pytest.approx(expected, abs=1e-10)
    assert ours(clusters, labels).item() == pytest.approx(expected, abs=1e-10)
    assert ours(labels, labels + 5).item() == 1


def test_expected_information_is_the_mean_over_all_permutations() -> None:
    labels, clusters = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 1, 1])
    every = [
        mutual_information(contingency(labels, clusters[torch.tensor(order)])).item()
        for order in permutations(range(6))
    ]
    found = expected_information(contingency(labels, clusters)).item()
    assert found == pytest.approx(sum(every) / len(every), abs=1e-12)


def test_random_clusters_score_zero_when_adjusted_and_more_than_zero_when_not() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 50, (1000,), generator=generator)
    clusters = torch.randint(0, 50, (1000,), generator=generator)
    assert nmi(labels, clusters) > 0.2
    assert abs(ami(labels, clusters)) < 0.01
    assert abs(ari(labels, clusters)) < 0.01


@pytest.mark.parametrize("labels, clusters", PARTITIONS.values(), ids=PARTITIONS)  # noqa: PT006
def test_purity_equals_a_loop_over_clusters(labels: Tensor, clusters: Tensor) -> None:
    right = 0
    for cluster in set(clusters.tolist()):
        members = [
            a for a, b in zip(labels.tolist(), clusters.tolist(), strict=True) if b == cluster
        ]
        right += max(members.count(label) for label in members)
    assert purity(labels, clusters).item() == pytest.approx(right / len(labels), abs=1e-12)


@pytest.mark.parametrize("name", sorted(set(PARTITIONS) - {"all apart", "one sample"}))  # undefined
def test_f1_equals_a_loop_over_pairs(name: str) -> None:
    labels, clusters = PARTITIONS[name]
    both = in_class = in_cluster = 0
    for i, j in combinations(range(len(labels)), 2):
        in_class += bool(labels[i] == labels[j])
        in_cluster += bool(clusters[i] == clusters[j])
        both += bool(labels[i] == labels[j] and clusters[i] == clusters[j])
    precision, recall = both / max(in_cluster, 1), both / max(in_class, 1)
    expected = 2 * precision * recall / (precision + recall) if both else 0
    assert f1(labels, clusters).item() == pytest.approx(expected, abs=1e-12)


def test_f1_without_any_pair_is_undefined() -> None:
    with pytest.raises(UndefinedError, match="no two samples"):
        f1(torch.arange(4), torch.arange(4))


def test_partitions_of_different_sets_are_an_error() -> None:
    with pytest.raises(ValueError, match="4 labels and 3 clusters"):
        nmi(torch.arange(4), torch.arange(3))


def test_sums_equal_a_loop() -> None:
    vectors, groups = torch.randn(30, 3), torch.arange(30) % 4
    sums, sizes = sums_by_group(vectors, groups, num_groups=6)
    for group in range(6):
        members = [vectors[i].double() for i in range(30) if groups[i] == group]
        expected = sum(members, start=torch.zeros(3, dtype=torch.float64))
        torch.testing.assert_close(sums[group], expected)
        assert sizes[group] == len(members)


@pytest.fixture(params=["bfloat16", "float32", "dense"])
def assignment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way to assign."""
    half, single = torch.bfloat16, torch.float32
    precisions = (half, single) if request.param == "bfloat16" else (single,)
    monkeypatch.setattr(assignment_module, "choose_precisions", lambda _: precisions)
    if request.param == "dense":
        monkeypatch.setattr(Assignment, "__call__", Assignment.dense)
    return request.param


@pytest.mark.usefixtures("assignment")
@pytest.mark.parametrize("memory", [1, 5000, 2**20])
@pytest.mark.parametrize("shift", [0.0, 4.0, -4.0])
def test_assignment_equals_brute_force_whatever_the_memory(memory: int, shift: float) -> None:
    points, _ = blobs(0)
    points = points - shift
    centroids = points[:25] + 0.01 + shift / 2  # with a shift, all similarities are negative
    expected = torch.cdist(points.double(), centroids.double()).argmin(dim=1)
    assert Assignment(points, memory)(centroids).equal(expected)


@pytest.mark.parametrize("most", [0, 1])
@pytest.mark.parametrize("assignment", ["bfloat16", "float32"], indirect=True)
@pytest.mark.usefixtures("threads")
def test_near_ties_and_copies_are_assigned_as_by_fractions(
    assignment: str, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_AMBIGUOUS", most)
    monkeypatch.setattr(search, "FIRST_ROUND", 8)
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(5, 4, generator=generator)
    ulp = torch.randint(-1, 2, (40, 4), generator=generator, dtype=torch.int32)
    centroids = (base.repeat(8, 1).view(torch.int32) + ulp).view(torch.float32)
    points = torch.cat([base, centroids, torch.randn(20, 4, generator=generator)])

    def squared(x: list[float], y: list[float]) -> Fraction:
        return sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, y, strict=True))

    expected = [
        min(range(40), key=lambda c, x=x: (squared(x, centroids[c].tolist()), c))
        for x in points.tolist()
    ]
    assert Assignment(points, 2**20)(centroids).tolist() == expected
    assert assignment


def test_kmeans_takes_the_steps_of_lloyd() -> None:
    """From the same start, one cluster at a time in NumPy-like loops."""
    points, _ = blobs(1)
    start = torch.randperm(len(points), generator=torch.Generator().manual_seed(3))[:20]
    centroids = points[start].double()
    for _ in range(5):
        nearest = torch.cdist(points.double(), centroids).argmin(dim=1)
        assert len(nearest.unique()) == 20  # no empty cluster, that is another test
        centroids = torch.stack([points[nearest == c].double().mean(dim=0) for c in range(20)])
    expected = torch.cdist(points.double(), centroids).argmin(dim=1)
    assert kmeans(points, 20, iterations=5, seed=3).equal(expected)


def test_kmeans_is_a_function_of_its_seed_and_leaves_the_random_state_alone() -> None:
    points, _ = blobs(2, noise=2.0)
    state = torch.get_rng_state()
    first = kmeans(points, 20, seed=1)
    assert kmeans(points, 20, seed=1, memory=3000).equal(first)
    assert not kmeans(points, 20, seed=2).equal(first)
    assert torch.get_rng_state().equal(state)


def test_an_empty_cluster_moves_to_the_farthest_point() -> None:
    points = torch.tensor([[0.0], [1.0], [2.0], [-9.0]])
    centroids = torch.tensor([[1.0], [1000.0]])
    clusters = Assignment(points, 2**20)(centroids)
    assert clusters.tolist() == [0, 0, 0, 0]
    assert move(points, clusters, centroids).tolist() == [[-1.5], [-9.0]]


def test_kmeans_with_a_cluster_for_every_point_finds_every_point() -> None:
    points, _ = blobs(3, num=50)
    assert sorted(kmeans(points, 50).tolist()) == list(range(50))


def test_kmeans_of_identical_points_is_one_cluster() -> None:
    assert len(kmeans(torch.ones(20, 3), 5).unique()) == 1


@pytest.mark.parametrize("num_clusters", [0, 401])
def test_impossible_numbers_of_clusters_are_undefined(num_clusters: int) -> None:
    with pytest.raises(UndefinedError, match=f"{num_clusters} clusters of 400 points"):
        kmeans(blobs(0)[0], num_clusters)


def test_nmi_of_kmeans_agrees_with_faiss_on_average() -> None:
    ours, theirs = [], []
    for seed in range(5):
        points, labels = blobs(seed, num=3000, classes=300, noise=0.45)
        ours.append(nmi(labels, kmeans(points, 300, seed=seed)).item())
        other = faiss.Kmeans(6, 300, niter=20, seed=seed, min_points_per_centroid=1)
        other.train(points.numpy())
        assigned = other.index.search(points.numpy(), 1)[1][:, 0]
        theirs.append(nmi(labels, torch.from_numpy(assigned)).item())
    assert sum(ours) / 5 == pytest.approx(sum(theirs) / 5, abs=0.003)
