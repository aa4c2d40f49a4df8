"""HDCMiner keeps the hardest fraction of the pairs of the whole batch."""

import io
import math

import pytest
import torch

from batch_mining.hdc import HDCMiner
from batch_mining.pair_margin import PairMarginMiner
from batch_mining.random import RandomMiner
from core.kernels.hardest_pairs import hardest
from tests.batches import LABELS, batch, euclidean, negative_pairs, positive_pairs


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_keeps_the_hardest_fraction_of_each_kind(labels: list[int], fraction: float) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    kept = HDCMiner(fraction)(embeddings, targets)
    for mask, pairs, hardest_is_far in (
        (kept.positives, positive_pairs(labels), True),
        (kept.negatives, negative_pairs(labels), False),
    ):
        distances = sorted((euclidean(x[i], x[j]) for i, j in pairs), reverse=hardest_is_far)
        expected = distances[: math.ceil(fraction * len(pairs))]
        found = [tuple(pair) for pair in mask.nonzero().tolist()]
        assert set(found) <= set(pairs)
        got = sorted((euclidean(x[i], x[j]) for i, j in found), reverse=hardest_is_far)
        assert got == pytest.approx(expected, abs=1e-9)


def test_filters_the_pairs_of_another_miner() -> None:
    embeddings, targets = batch([0, 1, 2, 3] * 4)
    inner = PairMarginMiner(1.2, 1.2)
    given, kept = inner(embeddings, targets), HDCMiner(0.25, inner)(embeddings, targets)
    for mask, some in zip(given, kept, strict=True):
        assert not (some & ~mask).any()
        assert some.sum() == math.ceil(0.25 * int(mask.sum()))


def test_a_restored_miner_continues_the_draws_of_its_inner_miner() -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 8)
    saved, restored = HDCMiner(1.0, RandomMiner()), HDCMiner(1.0, RandomMiner(seed=1))
    for _ in range(3):
        saved(embeddings, labels)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(3):
        kept, expected = restored(embeddings, labels), saved(embeddings, labels)
        assert kept.positives.equal(expected.positives)
        assert kept.negatives.equal(expected.negatives)


@pytest.mark.parametrize("fraction", [0.0, 1.1])
def test_impossible_settings_are_an_error(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"^fraction must"):
        HDCMiner(fraction)


def test_of_equally_hard_pairs_the_first_are_kept_sorted_for_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hardness = torch.tensor([[2.0, 1.0, 1.0], [1.0, 3.0, 1.0], [5.0, 0.0, 1.0]])
    candidates = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=torch.bool)
    kept = hardest(hardness, candidates, 0.5)  # of 7
    assert kept.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    monkeypatch.setattr("core.kernels.hardest_pairs.can_read_without_sync", lambda _: False)
    assert hardest(hardness, candidates, 0.5).equal(kept)
    assert not hardest(hardness, torch.zeros_like(candidates), 0.5).any()
