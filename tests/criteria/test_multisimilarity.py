"""MultiSimilarity against a transcription of the paper."""

import math

import pytest

from batch_mining.multisimilarity import MultiSimilarityMiner
from core.reducer import NonZeroMean
from criteria.multisimilarity import MultiSimilarity
from tests.batches import LABELS, batch, cosine, negative_pairs, positive_pairs

ALPHA, BETA, BASE, EPSILON = 2.0, 40.0, 0.5, 0.1


def anchors_by_definition(
    x: list[list[float]], labels: list[int], mined: bool
) -> list[float | None]:
    """L_i of each anchor; None where it keeps no pair."""
    losses: list[float | None] = []
    for i in range(len(labels)):
        positives = [cosine(x[i], x[j]) for a, j in positive_pairs(labels) if a == i]
        negatives = [cosine(x[i], x[j]) for a, j in negative_pairs(labels) if a == i]
        if mined:
            hardest = max(negatives, default=-math.inf)
            easiest = min(positives, default=math.inf)
            positives = [s for s in positives if s < hardest + EPSILON]
            negatives = [s for s in negatives if s > easiest - EPSILON]
        if not positives and not negatives:
            losses.append(None)
            continue
        pull = math.log(1 + sum(math.exp(-ALPHA * (s - BASE)) for s in positives)) / ALPHA
        push = math.log(1 + sum(math.exp(BETA * (s - BASE)) for s in negatives)) / BETA
        losses.append(pull + push)
    return losses


@pytest.mark.parametrize("mined", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_paper(labels: list[int], mined: bool) -> None:
    embeddings, targets = batch(labels)
    miner = MultiSimilarityMiner(EPSILON) if mined else None
    losses = anchors_by_definition(embeddings.tolist(), labels, mined)
    expected = sum(loss or 0 for loss in losses) / len(losses)
    criterion = MultiSimilarity(miner, ALPHA, BETA, BASE)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_nonzero_mean_divides_by_the_anchors_left_as_roth_et_al() -> None:
    labels = LABELS["unbalanced"]
    embeddings, targets = batch(labels)
    losses = anchors_by_definition(embeddings.tolist(), labels, mined=True)
    left = [loss for loss in losses if loss is not None]
    assert 0 < len(left) < len(losses)
    criterion = MultiSimilarity(
        MultiSimilarityMiner(EPSILON), ALPHA, BETA, BASE, reducer=NonZeroMean()
    )
    expected = sum(left) / len(left)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_survives_extreme_sharpness_in_float32() -> None:
    embeddings, targets = batch(LABELS["balanced"])
    loss = MultiSimilarity(alpha=500.0, beta=500.0)(embeddings.float(), targets)
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
