"""A regularized objective is the objective plus the penalty."""

import torch

from core.regularizer import LpNorm
from criteria.contrastive import Contrastive
from criteria.proxynca import ProxyNCA
from criteria.regularized import Regularized
from tests.batches import batch


def test_value_is_the_sum() -> None:
    embeddings, labels = batch([0, 0, 1, 1])
    value = Regularized(Contrastive(), LpNorm(weight=0.5))(embeddings, labels)
    norms = [sum(a * a for a in x) ** 0.5 for x in embeddings.tolist()]
    expected = Contrastive()(embeddings, labels) + 0.5 * sum(norms) / len(norms)
    torch.testing.assert_close(value, expected)


def test_references_and_parameters_are_those_of_the_objective() -> None:
    embeddings, labels = batch([0, 0, 1, 1])
    against = {"references": embeddings[:2], "reference_labels": labels[:2]}
    value = Regularized(Contrastive(), LpNorm(weight=0.0))(embeddings, labels, **against)
    torch.testing.assert_close(value, Contrastive()(embeddings, labels, **against))
    assert Regularized(ProxyNCA(3, 8, lr=0.1), LpNorm()).parameter_groups()[0]["lr"] == 0.1
