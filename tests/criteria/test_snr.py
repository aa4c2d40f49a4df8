"""SNRTriplet against its definition, triplet by triplet."""

import statistics

import pytest

from core.reducer import Mean, NonZeroMean
from core.regularizer import ZeroMean
from criteria.snr import SNRTriplet
from tests.batches import LABELS, all_triplets, batch


def ratio(x: list[float], y: list[float]) -> float:
    noise = [a - b for a, b in zip(x, y, strict=True)]
    return statistics.pvariance(noise) / statistics.pvariance(x)


@pytest.mark.parametrize("reducer", [Mean, NonZeroMean], ids=["paper", "Roth et al."])
@pytest.mark.parametrize("margin", [0.2, 2.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], margin: float, reducer: type) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    hinges = [
        max(0.0, ratio(x[a], x[p]) - ratio(x[a], x[n]) + margin) for a, p, n in all_triplets(labels)
    ]
    kept = [h for h in hinges if h > 0] if reducer is NonZeroMean else hinges
    penalty = 0.005 * statistics.fmean(abs(sum(v)) for v in x)
    expected = sum(kept) / max(len(kept), 1) + penalty
    criterion = SNRTriplet(margin=margin, reducer=reducer(), regularizer=ZeroMean(0.005))
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)
    assert SNRTriplet(margin=margin, reducer=reducer())(embeddings, targets).item() == (
        pytest.approx(expected - penalty, rel=1e-9, abs=1e-12)
    )


def test_margin_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="margin"):
        SNRTriplet(margin=-0.1)
