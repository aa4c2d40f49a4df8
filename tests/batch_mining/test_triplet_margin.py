"""TripletMarginMiner against its inequalities, triplet by triplet; the drawn ones are uniform."""

import pytest
import torch

import core.kernels.triplets_where
from batch_mining.triplet_margin import TripletMarginMiner
from tests.batches import LABELS, all_triplets, batch, chi_square_p, euclidean, listed

KINDS = {
    "all": lambda m, margin: m <= margin,
    "hard": lambda m, _: m <= 0,
    "semihard": lambda m, margin: 0 < m <= margin,
    "easy": lambda m, margin: m > margin,
}


def by_definition(
    x: list[list[float]], labels: list[int], kind: str, margin: float
) -> set[tuple[int, int, int]]:
    return {
        (a, p, n)
        for a, p, n in all_triplets(labels)
        if KINDS[kind](euclidean(x[a], x[n]) - euclidean(x[a], x[p]), margin)
    }


@pytest.mark.parametrize("block", [1, 50, 2**22])
@pytest.mark.parametrize("most", [None, 10**6])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_lists_exactly_the_triplets_of_the_kind(
    labels: list[int], kind: str, most: int | None, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.kernels.triplets_where, "BLOCK", block)
    embeddings, targets = batch(labels, dim=3)
    triplets = TripletMarginMiner(0.2, kind, most)(embeddings, targets)
    found = listed(triplets)
    assert len(set(found)) == len(found)
    assert set(found) == by_definition(embeddings.tolist(), labels, kind, 0.2)


@pytest.mark.parametrize("block", [40, 2**22])
def test_of_too_many_each_is_equally_likely(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.kernels.triplets_where, "BLOCK", block)
    labels = [0, 1, 2] * 3
    embeddings, targets = batch(labels, dim=3)
    expected = sorted(by_definition(embeddings.tolist(), labels, "all", 0.2))
    assert len(expected) % 7
    counts = dict.fromkeys(expected, 0)
    miner = TripletMarginMiner(0.2, "all", max_triplets=7)
    for _ in range(1500):
        drawn = listed(miner(embeddings, targets))
        assert len(set(drawn)) == 7
        for triplet in drawn:
            counts[triplet] += 1
    assert chi_square_p(list(counts.values()), [1 / len(expected)] * len(expected)) > 0.001


def test_a_large_batch_is_bounded_and_exact_in_number() -> None:
    labels = torch.arange(32).repeat_interleave(16)
    triplets = TripletMarginMiner(max_triplets=1000)(torch.randn(512, 8), labels)
    assert len(triplets.anchors) == 1000
    assert len(triplets.anchors.unique()) > 400, "spread over the anchors"


@pytest.mark.parametrize("numbers", [{"margin": -1.0}, {"kind": "soft"}, {"max_triplets": 0}])
def test_impossible_settings_are_an_error(numbers: dict[str, object]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        TripletMarginMiner(**numbers)
