"""UniformHistogramMiner against a histogram in plain Python."""

from collections import Counter

import pytest

from batch_mining.uniform_histogram import UniformHistogramMiner
from tests.batches import LABELS, batch, chi_square_p, euclidean, negative_pairs, positive_pairs

Pair = tuple[int, int]


def bins_by_definition(x: list[list[float]], pairs: list[Pair], num_bins: int) -> dict[Pair, int]:
    far = {(i, j): euclidean(x[i], x[j]) for i, j in pairs}
    least, greatest = min(far.values(), default=0), max(far.values(), default=0)
    width = (greatest - least) / num_bins or 1.0
    return {pair: min(int((d - least) / width), num_bins - 1) for pair, d in far.items()}


@pytest.mark.parametrize("num_bins", [1, 4, 100])
@pytest.mark.parametrize("labels", [*LABELS.values(), [0, 1, 2] * 6])
def test_each_bin_gives_what_it_has_up_to_the_bound(labels: list[int], num_bins: int) -> None:
    embeddings, targets = batch(labels, dim=4)
    kept = UniformHistogramMiner(num_bins, 3, 5)(embeddings, targets)
    for mask, pairs, bound in (
        (kept.positives, positive_pairs(labels), 3),
        (kept.negatives, negative_pairs(labels), 5),
    ):
        bins = bins_by_definition(embeddings.tolist(), pairs, num_bins)
        found = Counter(bins[i, j] for i, j in mask.nonzero().tolist())
        assert found == {b: min(n, bound) for b, n in Counter(bins.values()).items()}


def test_the_pairs_of_a_bin_are_equally_likely() -> None:
    labels = [0, 0, 0, 0, 1, 1]
    embeddings, targets = batch(labels, dim=4)
    bins = bins_by_definition(embeddings.tolist(), positive_pairs(labels), 2)
    fullest, size = Counter(bins.values()).most_common(1)[0]
    miner, drawn = UniformHistogramMiner(2, 2, 1), Counter[Pair]()
    for _ in range(1500):
        positives = miner(embeddings, targets).positives.nonzero().tolist()
        drawn.update((i, j) for i, j in positives if bins[i, j] == fullest)
    counts = [drawn[pair] for pair, b in bins.items() if b == fullest]
    assert size > 2
    assert chi_square_p(counts, [1 / size] * size) > 0.001


@pytest.mark.parametrize("name", ["num_bins", "positives_per_bin", "negatives_per_bin"])
def test_impossible_settings_are_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        UniformHistogramMiner(**{name: 0})
