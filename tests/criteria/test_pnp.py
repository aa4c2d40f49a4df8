"""PNP against its definition, list by list, and every variant against pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as pml

from criteria.pnp import PNP
from tests.batches import LABELS, batch, cosine

B, ALPHA = 3.0, 2.5
VARIANTS = {
    "O": lambda r: r,
    "Iu": lambda r: (1 + r) * math.log(1 + r),
    "Ib": lambda r: r / B - math.log(1 + B * r) / B**2,
    "Ds": lambda r: math.log(1 + r),
    "Dq": lambda r: 1 - 1 / (1 + r) ** ALPHA,
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], variant: str) -> None:
    embeddings, targets = batch(labels)
    x, n, losses = embeddings.tolist(), range(len(labels)), []
    for i in n:
        s = [cosine(x[i], y) for y in x]
        penalties = []
        for j in n:
            if labels[j] == labels[i] and j != i:
                gaps = [s[k] - s[j] for k in n if labels[k] != labels[i]]
                before = sum(1 / (1 + math.exp(-gap / 0.1)) for gap in gaps)
                penalties.append(VARIANTS[variant](before))
        if penalties:
            losses.append(sum(penalties) / len(penalties))
    expected = sum(losses) / max(len(losses), 1)
    value = PNP(None, variant, ALPHA, B, temperature=0.1)(embeddings, targets).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_with_the_query_it_is_that_of_pytorch_metric_learning(variant: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    theirs = pml.PNPLoss(b=B, alpha=ALPHA, anneal=0.1, variant=variant)(embeddings, labels)
    ours = PNP(None, variant, ALPHA, B, temperature=0.1, include_query=True)(embeddings, labels)
    torch.testing.assert_close(ours, theirs)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="variant must be one of O, Iu"):
        PNP(variant="o")
    with pytest.raises(ValueError, match="alpha, b and temperature"):
        PNP(b=0)
