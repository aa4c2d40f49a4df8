"""Instance against its definition, class by class."""

import math

import pytest
import torch
from pytorch_metric_learning import losses

from criteria.instance import Instance
from tests.batches import LABELS, batch, cosine


@pytest.mark.parametrize("gamma", [None, 64.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(labels: list[int], gamma: float | None) -> None:
    embeddings, targets = batch(labels)
    criterion = Instance(6, 8, gamma).double()
    total = 0.0
    for x, label in zip(embeddings.tolist(), labels, strict=True):
        if gamma is None:
            logits = [math.fsum(map(float.__mul__, x, w)) for w in criterion.prototypes.tolist()]
        else:
            logits = [gamma * cosine(x, w) for w in criterion.prototypes.tolist()]
        total += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
    expected = total / len(labels)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


def test_embeddings_as_prototypes_give_the_loss_of_pytorch_metric_learning() -> None:
    embeddings, labels = batch([0, 1, 2, 3])
    criterion = Instance(4, 8, gamma=64)
    criterion.prototypes.data = embeddings.detach().float()
    expected = losses.InstanceLoss(gamma=64)(embeddings.detach().float(), labels)
    torch.testing.assert_close(
        criterion(embeddings.float(), labels), expected, rtol=1e-4, atol=1e-9
    )


def test_gamma_out_of_range() -> None:
    with pytest.raises(ValueError, match="gamma"):
        Instance(6, 8, gamma=0)
