"""SNRContrastive against its definition, pair by pair."""

import statistics

import pytest

from core.reducer import Mean, NonZeroMean
from core.regularizer import ZeroMean
from criteria.snr_contrastive import SNRContrastive
from tests.batches import LABELS, batch, negative_pairs, positive_pairs


def ratio(x: list[float], y: list[float]) -> float:
    noise = [a - b for a, b in zip(x, y, strict=True)]
    return statistics.pvariance(noise) / statistics.pvariance(x)


def mean(values: list[float], of_nonzero: bool) -> float:
    kept = [value for value in values if value > 0] if of_nonzero else values
    return sum(kept) / max(len(kept), 1)


@pytest.mark.parametrize("reducer", [Mean, NonZeroMean])
@pytest.mark.parametrize("margins", [(0.0, 1.0), (0.5, 3.0)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], margins: tuple[float, float], reducer: type
) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    low, high = margins
    pull = [max(0.0, ratio(x[i], x[j]) - low) for i, j in positive_pairs(labels)]
    push = [max(0.0, high - ratio(x[i], x[j])) for i, j in negative_pairs(labels)]
    penalty = 0.005 * statistics.fmean(abs(sum(v)) for v in x)
    expected = mean(pull, reducer is NonZeroMean) + mean(push, reducer is NonZeroMean) + penalty
    criterion = SNRContrastive(None, low, high, reducer=reducer(), regularizer=ZeroMean(0.005))
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)
