"""What the pages say that pytorch-metric-learning computes otherwise, it does compute otherwise.

Each test has their number and ours; a user who compares the two finds the reason in the
section `Differences:` of the docstring, which the page of the loss shows.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses
from pytorch_metric_learning.reducers import MeanReducer

from core.distance import Lp
from core.types import Triplets
from criteria.angular import Angular
from criteria.contrastive import Contrastive
from criteria.lifted_structure import LiftedStructure
from criteria.nca import NCA
from criteria.ntxent import NTXent
from criteria.ranked_list import RankedList
from criteria.softmax import NormalizedSoftmax
from criteria.threshold_consistent_margin import ThresholdConsistentMargin

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
REFERENCES = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
CROSS = torch.tensor([[1.0, 0], [-1, 0], [1, 0], [0, 1]]), torch.tensor([0, 0, 1, 1])


def triplets(*listed: tuple[int, int, int]) -> Triplets:
    return Triplets(*torch.tensor(listed, dtype=torch.long).reshape(-1, 3).T)


def test_their_vectors_have_unit_p_norm() -> None:
    theirs, ours = distances.LpDistance(p=1)(X), Lp(p=1)(X)
    expected = torch.cdist(F.normalize(X, p=1), F.normalize(X, p=1), p=1)
    torch.testing.assert_close(theirs, expected)
    assert ours[0, 1] > 1.2 * theirs[0, 1]


def test_they_count_a_pair_as_often_as_triplets_name_it() -> None:
    twice = triplets((0, 1, 2), (0, 1, 3), (2, 3, 0))
    d = Lp()(X)
    positives, negatives = torch.stack([d[0, 1], d[0, 1], d[2, 3]]), 1 - d[[0, 0, 2], [2, 3, 0]]
    theirs = losses.ContrastiveLoss(reducer=MeanReducer())(X, LABELS, tuple(twice[:3]))
    push = negatives.relu().mean()
    torch.testing.assert_close(theirs, positives.mean() + push)
    ours = Contrastive(power=1)(X, LABELS, twice)
    torch.testing.assert_close(ours, positives[1:].mean() + push)


def test_their_classification_divides_by_the_number_of_samples() -> None:
    theirs, ours = losses.NormalizedSoftmaxLoss(3, 4), NormalizedSoftmax(3, 4)
    ours.prototypes.data = theirs.W.data.T.clone()
    tuples = triplets((0, 1, 2), (0, 1, 3))  # named 2, 2, 1, 1, 0 and 0 times
    weights = torch.tensor([2.0, 2, 1, 1, 0, 0])
    each = torch.stack([ours(x[None], y[None]) for x, y in zip(X, LABELS, strict=True)])
    torch.testing.assert_close(theirs(X, LABELS, tuple(tuples[:3])), (each * weights / 2).mean())
    torch.testing.assert_close(ours(X, LABELS, tuples), (each * weights / 6).sum())
    torch.testing.assert_close(theirs(X, LABELS, tuple(triplets()[:3])), each.mean())
    assert ours(X, LABELS, triplets()) == 0


def test_their_angular_loss_keeps_all_negatives() -> None:
    unit, one = F.normalize(X, dim=1), triplets((0, 1, 2))
    ours = Angular(npair_weight=0, angular_weight=1, alpha=40)
    all_negatives = triplets(*((0, 1, n) for n in range(2, 6)))
    theirs = losses.AngularLoss()(unit, LABELS, tuple(one))
    torch.testing.assert_close(theirs, ours(unit, LABELS, all_negatives))
    assert ours(unit, LABELS, one) < 0.5 * theirs


def test_their_ntxent_ends_at_87() -> None:
    hard = triplets((0, 1, 2), (2, 3, 0))  # similarities of -1 and 0 against 1
    theirs, ours = (
        build(temperature=0.01)(*CROSS, tuples)
        for build, tuples in ((losses.NTXentLoss, tuple(hard[:3])), (NTXent, hard))
    )
    assert theirs.item() == pytest.approx(-math.log(torch.finfo(torch.float32).tiny), abs=0.1)
    assert ours.item() == pytest.approx((200 + 100) / 2)


def test_their_ranked_list_leaves_out_negatives_at_distance_zero() -> None:
    """Samples 0 and 2 are equal and of two classes."""
    theirs = losses.RankedListLoss(margin=0.4, Tn=0.0, alpha=1.2)(*CROSS)
    ours = RankedList(negative_temperature=0.0)(*CROSS)
    assert ours - theirs == pytest.approx(0.5 * 2 * 1.2 / 4, abs=0.5 * 2 / 4)
    assert ours > theirs + 0.1


def test_their_threshold_consistent_margin_ignores_references() -> None:
    theirs = losses.ThresholdConsistentMarginLoss()
    values = [
        theirs(X, LABELS, ref_emb=references, ref_labels=LABELS) for references in (X, REFERENCES)
    ]
    assert values[0] == values[1]
    ours = ThresholdConsistentMargin()
    found = [
        ours(X, LABELS, references=references, reference_labels=LABELS)
        for references in (X, REFERENCES)
    ]
    assert abs(found[0] - found[1]) > 0.01


def test_their_lifted_structure_mistakes_references_for_the_batch() -> None:
    """The order of the references has no meaning, but it changes their value."""
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    given = (REFERENCES, LABELS), (REFERENCES[order], LABELS[order])
    theirs = [losses.LiftedStructureLoss()(X, LABELS, ref_emb=r, ref_labels=y) for r, y in given]
    ours = [
        LiftedStructure(distance=Lp())(X, LABELS, references=r, reference_labels=y)
        for r, y in given
    ]
    torch.testing.assert_close(*ours)
    assert abs(theirs[0] - theirs[1]) > 0.01


def test_their_nca_is_not_a_number_without_positives() -> None:
    alone = torch.arange(6)
    assert losses.NCALoss()(X, alone).isnan()
    assert NCA()(X, alone) == 0
