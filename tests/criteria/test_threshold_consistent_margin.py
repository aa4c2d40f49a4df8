"""ThresholdConsistentMargin against its definition, pair by pair."""

import pytest

from criteria.threshold_consistent_margin import ThresholdConsistentMargin
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs


def mean_of_hard(values: list[float]) -> float:
    hard = [value for value in values if value > 0]
    return sum(hard) / max(len(hard), 1)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    x = embeddings.tolist()
    pull = [0.4 - cosine(x[i], x[j]) for i, j in positive_pairs(labels)]
    push = [cosine(x[i], x[j]) - 0.1 for i, j in negative_pairs(labels)]
    criterion = ThresholdConsistentMargin(None, 2.0, 3.0, 0.4, 0.1)
    expected = 2 * mean_of_hard(pull) + 3 * mean_of_hard(push)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_weights_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="positive_weight"):
        ThresholdConsistentMargin(positive_weight=-1)
