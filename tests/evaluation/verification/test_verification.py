"""Thresholds, rates and intervals against scikit-learn and plain loops over lists of all pairs."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.stats import binomtest
from sklearn.metrics import roc_curve
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.metrics.eer import eer
from evaluation.metrics.opis import opis
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.pairs import Pairs
from evaluation.verification import operating_points
from evaluation.verification.class_bootstrap import interval, resampled_rates
from evaluation.verification.class_counts import ClassCounts, class_counts, random_groups
from evaluation.verification.verification import Verification, verify

NUM, CLASSES = 90, 15
EVERYONE = torch.arange(NUM)
ROLES = {
    "one set": (EVERYONE, EVERYONE),
    "query and gallery": (EVERYONE[:40], EVERYONE[40:]),
    "overlapping": (EVERYONE[:50], EVERYONE[20:]),
}
by_roles = pytest.mark.parametrize("roles", ROLES.values(), ids=ROLES)
Roles = tuple[Tensor, Tensor]


def embedded(num: int = NUM, classes: int = CLASSES, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Blobs of different spread; labels have gaps."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % classes
    centers = torch.randn(classes, 6, generator=generator)
    spread = torch.linspace(0.3, 1.5, classes)[labels, None]
    return centers[labels] + spread * torch.randn(num, 6, generator=generator), 3 * labels + 7


def listed(embeddings: Tensor, labels: Tensor, roles: Roles) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of every pair, as float32 has it, and whether it is positive."""
    points = torch.nn.functional.normalize(embeddings)
    similarities = points @ points.T
    pairs = [(q, g) for q, g in product(roles[0].tolist(), roles[1].tolist()) if q != g]
    values = [float(similarities[pair]) for pair in pairs]
    return np.array(values), np.array([bool(labels[q] == labels[g]) for q, g in pairs])


def sklearn_rates(values: np.ndarray, positive: np.ndarray, threshold: float) -> tuple[float, ...]:
    """FMR and TMR of the pairs above a threshold; scikit-learn counts those at or above one."""
    fmr, tmr, thresholds = roc_curve(positive, values, drop_intermediate=False)
    last = int((thresholds > threshold).sum()) - 1
    return float(fmr[last]), float(tmr[last])


@by_roles
def test_every_point_of_the_curve_is_that_of_scikit_learn(roles: Roles) -> None:
    embeddings, labels = embedded()
    values, positive = listed(embeddings, labels, roles)
    found = verify(Pairs(embeddings, labels, *roles), resamples=20)
    curve = found.curve
    assert len(curve.thresholds) > 300
    for threshold, fmr, tmr in zip(curve.thresholds, curve.fmr, curve.tmr, strict=True):
        near = np.abs(values - threshold) < 1e-6  # rounding may put these on either side
        low, high = (sklearn_rates(values, positive, threshold + d) for d in (1e-6, -1e-6))
        assert low[0] - 1e-12 <= fmr <= high[0] + 1e-12, near
        assert low[1] - 1e-12 <= tmr <= high[1] + 1e-12, near


@by_roles
@pytest.mark.parametrize("fmr", [0.3, 0.1, 0.02])
def test_the_threshold_of_an_fmr_is_the_least_that_keeps_it(roles: Roles, fmr: float) -> None:
    embeddings, labels = embedded()
    values, positive = listed(embeddings, labels, roles)
    negatives = np.sort(values[~positive])[::-1]
    (at,) = verify(Pairs(embeddings, labels, *roles), fmrs=[fmr], resamples=20).by_fmr
    expected = negatives[int(fmr * len(negatives) + 1e-9)]
    assert at.threshold.value == pytest.approx(expected, abs=1e-6)
    assert sklearn_rates(values, positive, at.threshold.value + 1e-6)[0] <= fmr
    assert at.tmr.value == pytest.approx((values[positive] > expected).mean(), abs=1e-12)


@by_roles
def test_the_equal_error_rate_is_where_the_curve_of_scikit_learn_crosses(roles: Roles) -> None:
    embeddings, labels = embedded()
    fmr, tmr, _ = roc_curve(*listed(embeddings, labels, roles)[::-1], drop_intermediate=False)
    expected = brentq(lambda x: 1 - x - interp1d(fmr, tmr)(x), 0, 1)
    pairs = Pairs(embeddings, labels, *roles)
    assert eer(pairs).item() == pytest.approx(expected, abs=1e-9)
    assert verify(pairs, resamples=20).eer.value == eer(pairs).item()


def test_separated_classes_have_no_error_and_equal_embeddings_are_chance() -> None:
    labels = EVERYONE % 6
    for embeddings, expected in ((torch.eye(6)[labels], 0.0), (torch.ones(NUM, 3), 0.5)):
        assert eer(Pairs(embeddings, labels, EVERYONE, EVERYONE)).item() == expected


@pytest.mark.parametrize("labels", [EVERYONE, torch.zeros(NUM, dtype=torch.long)])
def test_without_positives_or_negatives_it_is_undefined(labels: Tensor) -> None:
    pairs = Pairs(torch.randn(NUM, 3), labels, EVERYONE, EVERYONE)
    for compute in (eer, opis, verify):
        with pytest.raises(UndefinedError, match=r"there are \d+ positive, \d+ negative pairs"):
            compute(pairs)


@by_roles
@pytest.mark.parametrize("max_groups", [128, 4])
def test_the_counts_of_classes_are_those_of_a_loop(roles: Roles, max_groups: int) -> None:
    embeddings, labels = embedded()
    thresholds = torch.tensor([-0.25, 0.31, 0.77])
    pairs = Pairs(embeddings, labels, *roles, memory=30_000)
    counts = class_counts(pairs, thresholds, max_groups=max_groups)
    points = torch.nn.functional.normalize(embeddings)
    expected_positives = dict.fromkeys(product(counts.classes.tolist(), range(4)), 0)
    expected_negatives = dict(expected_positives)
    group = dict(zip(counts.classes.tolist(), counts.groups.tolist(), strict=True))
    assert len(set(group.values())) == min(CLASSES, max_groups)
    between = np.zeros(counts.between_groups.shape)
    for q, g in product(roles[0].tolist(), roles[1].tolist()):
        if q == g:
            continue
        first, second = int(labels[q]), int(labels[g])
        for column, threshold in enumerate([*thresholds.tolist(), -2.0]):
            if float(points[q] @ points[g]) > threshold:
                if first == second:
                    expected_positives[first, column] += 1
                else:
                    expected_negatives[first, column] += 1
                    expected_negatives[second, column] += 1
                    between[group[first], group[second], column] += 1
    assert counts.positives.flatten().tolist() == [*expected_positives.values()]
    assert counts.negatives.flatten().tolist() == [*expected_negatives.values()]
    assert counts.between_groups.numpy().tolist() == between.tolist()


def test_a_resample_counts_the_pairs_of_the_classes_that_are_drawn() -> None:
    """A copy of a class has its own positive pairs, and no pairs with another copy."""
    embeddings, labels = embedded()
    thresholds = torch.tensor([0.2, 0.6])
    counts = class_counts(Pairs(embeddings, labels, EVERYONE, EVERYONE), thresholds)
    rates = resampled_rates(counts, resamples=5, seed=3)
    draws = torch.randint(CLASSES, (5, CLASSES), generator=torch.Generator().manual_seed(3))
    points = torch.nn.functional.normalize(embeddings)
    members = {c: (labels == counts.classes[c]).nonzero().squeeze(1).tolist() for c in range(15)}
    for row, drawn in enumerate(draws.tolist()):
        same = [(i, j) for c in drawn for i, j in combinations(members[c], 2)]
        different = [
            pair
            for a, b in combinations(drawn, 2)
            if a != b
            for pair in product(members[a], members[b])
        ]
        for column, threshold in enumerate(thresholds.tolist()):
            for found, pairs in ((rates.fmr, different), (rates.tmr, same)):
                expected = np.mean([float(points[i] @ points[j]) > threshold for i, j in pairs])
                assert float(found[row, column]) == pytest.approx(expected, abs=1e-12)


def table_of_effects(rng: np.random.Generator, classes: int) -> ClassCounts:
    """One pair of each two classes; its similarity has an effect of both, which may exceed 1."""
    effects = rng.normal(size=classes)
    similarities = effects[:, None] + effects + rng.normal(size=(classes, classes))
    matches = torch.from_numpy(np.triu(similarities > 1, 1) * 1.0)
    pairs = torch.from_numpy(np.triu(np.ones((classes, classes)), 1))
    between = torch.stack([matches, pairs], dim=2)
    one = torch.ones(classes, 2, dtype=torch.float64)
    negatives = between.sum(dim=0) + between.sum(dim=1)
    numbers = torch.arange(classes)
    return ClassCounts(torch.tensor([1.0]), numbers, one, negatives, numbers, between)


def test_the_deviation_of_resamples_is_that_of_new_classes() -> None:
    """Drawing one of the two classes of a pair would give half of it."""
    rng = np.random.default_rng(0)
    tables = [table_of_effects(rng, classes=50) for _ in range(200)]
    rates = [float(t.between_groups[..., 0].sum() / t.between_groups[..., 1].sum()) for t in tables]
    shown = [float(resampled_rates(t, 200, seed=0).fmr.std()) for t in tables[:40]]
    assert np.mean(shown) == pytest.approx(np.std(rates), rel=0.15)


def test_random_groups_show_the_deviation_of_their_classes() -> None:
    rng = np.random.default_rng(1)
    table = table_of_effects(rng, classes=600)
    alone = float(resampled_rates(table, 400, seed=0).fmr.std())
    groups = random_groups(600, 128, seed=0)
    assert sorted(np.bincount(groups).tolist())[0] == 4
    grouped = torch.zeros(128, 128, 2, dtype=torch.float64)
    grouped.index_put_(
        (groups[:, None].expand(600, 600), groups.expand(600, 600)),
        table.between_groups,
        accumulate=True,
    )
    shown = resampled_rates(table._replace(groups=groups, between_groups=grouped), 400, seed=0)
    assert float(shown.fmr.std()) == pytest.approx(alone, rel=0.25)


def test_the_interval_of_independent_pairs_is_that_of_a_proportion() -> None:
    """With one positive pair for each class, its TMR is a share of independent trials."""
    classes = 100
    matched = torch.zeros(classes, 2, dtype=torch.float64)
    matched[:, 1], matched[:70, 0] = 1, 1
    table = table_of_effects(np.random.default_rng(0), classes)._replace(positives=matched)
    low, high = interval(resampled_rates(table, 4000, seed=0).tmr[:, 0], 0.95)
    expected = binomtest(70, classes).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_intervals_hold_their_numbers() -> None:
    embeddings, labels = embedded(300, 30)
    everyone = torch.arange(300)
    found = verify(Pairs(embeddings, labels, everyone, everyone), thresholds=[0.5], resamples=300)
    (given,) = found.given
    numbers = [found.eer, given.fmr, given.tmr]
    numbers += [number for at in found.by_fmr for number in (at.threshold, at.tmr)]
    assert len(numbers) == 3 + 2 * 3
    for number in numbers:
        assert number.interval is not None
        low, high = number.interval
        assert low < number.value < high
        assert high - low < 0.4


def test_few_classes_have_no_interval() -> None:
    embeddings, labels = embedded(60, 9)
    found = verify(Pairs(embeddings, labels, EVERYONE[:60], EVERYONE[:60]), thresholds=[0.5])
    assert found.curve.resampled is found.eer.interval is found.given[0].fmr.interval is None


def test_a_false_match_rate_needs_thirty_false_matches() -> None:
    embeddings, labels = embedded()
    found = verify(Pairs(embeddings, labels, EVERYONE, EVERYONE), resamples=5)
    positives = CLASSES * 6 * 5 // 2
    assert found.num_pairs == (NUM * (NUM - 1) // 2 - positives, positives)
    assert [at.fmr for at in found.by_fmr] == [0.1, 0.01]  # 3,780 negative pairs
    assert found.unsupported == [0.001, 0.0001]
    gallery = Pairs(embeddings, labels, EVERYONE[:30], EVERYONE[30:])
    assert [at.fmr for at in verify(gallery, resamples=5).by_fmr] == [0.1]  # 1,680


def test_a_given_threshold_has_the_rates_of_all_and_of_each_class() -> None:
    embeddings, labels = embedded()
    values, positive = listed(embeddings, labels, ROLES["one set"])
    pairs = Pairs(embeddings, labels, EVERYONE, EVERYONE)
    (at,) = verify(pairs, thresholds=[0.4], resamples=5).given
    assert (at.fmr.value, at.tmr.value) == pytest.approx(sklearn_rates(values, positive, 0.4))
    points = torch.nn.functional.normalize(embeddings)
    for label, fmr, tmr in zip(at.classes, at.class_fmr, at.class_tmr, strict=True):
        own = labels == label
        same = (points[own] @ points[own].T > 0.4).double()
        num = int(own.sum())
        assert float(tmr) == pytest.approx(float(same.sum() - num) / (num * (num - 1)))
        others = (points[own] @ points[~own].T > 0.4).double()
        assert float(fmr) == pytest.approx(float(others.mean()))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_opis_is_its_definition(distance: str) -> None:
    embeddings, labels = embedded(120, 12, seed=4)
    everyone = torch.arange(120)
    vectors = embeddings.double().numpy()
    if distance == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    same = labels.numpy()[:, None] == labels.numpy()
    negatives = np.sort(distances[~same])
    least, largest = (negatives[int(share * len(negatives))] for share in (0.01, 0.1))
    utilities = []
    for threshold in np.linspace(least, largest, 101):
        row = []
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            positive = [distances[i, j] < threshold for i, j in combinations(own, 2)]
            negative = [
                distances[i, j] >= threshold for i in own for j in range(120) if not same[i, j]
            ]
            a, b = np.mean(positive), np.mean(negative)
            row.append(2 * a * b / (a + b) if a + b else 0)
        utilities.append(row)
    expected = np.var(utilities, axis=1).mean()
    pairs = Pairs(embeddings, labels, everyone, everyone, distance=distance)
    assert opis(pairs).item() == pytest.approx(expected, rel=2e-3)
    if distance == "cosine":
        assert verify(pairs, resamples=5).opis == pytest.approx(opis(pairs).item(), rel=1e-9)


@pytest.mark.parametrize(("lowest", "highest"), [(0, 0.1), (0.1, 0.1), (0.2, 0.1), (0.1, 1)])
def test_an_impossible_range_of_opis_is_an_error(lowest: float, highest: float) -> None:
    with pytest.raises(ValueError, match="0 < lowest < highest < 1"):
        opis(Pairs(*embedded(), EVERYONE, EVERYONE), lowest, highest)


def test_an_evaluation_offers_both_metrics_and_knows_that_lower_is_better() -> None:
    evaluation = Evaluator({"eer": lambda pairs: eer(pairs), "opis": lambda pairs: opis(pairs)})
    assert evaluation.higher_is_better["eer"] is evaluation.higher_is_better["opis"] is False
    found = evaluation(*embedded())
    assert found["eer"] == eer(Pairs(*embedded(), EVERYONE, EVERYONE)).item()
    assert 0 < found["opis"] < 0.25


def test_chunks_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def verified(memory: int) -> Verification:
        pairs = Pairs(*embedded(), EVERYONE, EVERYONE, memory=memory)
        return verify(pairs, thresholds=[0.4], resamples=20)

    whole = verified(2**24)
    monkeypatch.setattr(operating_points, "BLOCK_PAIRS", 101)
    for memory in (1, 20_000):
        part = verified(memory)
        assert part.opis == pytest.approx(whole.opis, abs=1e-4)
        assert part.eer.value == pytest.approx(whole.eer.value, abs=1e-6)
        assert part.by_fmr[0].threshold.value == pytest.approx(
            whole.by_fmr[0].threshold.value, abs=2e-7
        )
