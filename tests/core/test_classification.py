"""What class objectives share, against plain Python."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from core.classification import (
    ClassifierHead,
    choose_scale,
    class_cosines,
    class_similarities,
    init_prototypes,
    loss_over_samples,
    with_margin,
)
from core.distance import Lp
from core.reducer import Mean
from core.regularizer import LpNorm
from core.types import Triplets
from criteria.cosface import CosFace
from criteria.softmax import NormalizedSoftmax
from tests.batches import batch, cosine


def test_the_cosine_with_a_class_is_that_with_its_closest_prototype() -> None:
    embeddings, _ = batch([0] * 5)
    prototypes = batch([0] * 12, seed=1)[0]
    for num_classes, k in ((12, 1), (4, 3), (1, 12)):
        got = class_cosines(embeddings, prototypes, num_classes).tolist()
        for x, row in zip(embeddings.tolist(), got, strict=True):
            for c in range(num_classes):
                own = prototypes.tolist()[c * k : (c + 1) * k]
                assert row[c] == pytest.approx(max(cosine(x, w) for w in own))


@pytest.mark.parametrize(
    ("num_classes", "expected"),
    [(1, 0.980258), (2, 0.980258), (3, 0.980258), (11, 3.256347), (11318, 13.200356)],
)
def test_the_scale_of_adacos(num_classes: int, expected: float) -> None:
    """√2 log(C - 1), where that is positive."""
    assert choose_scale(None, num_classes) == pytest.approx(expected, rel=1e-6)
    if num_classes > 2:
        assert expected == pytest.approx(math.sqrt(2) * math.log(num_classes - 1), rel=1e-6)


def test_a_scale_is_a_number_or_a_parameter() -> None:
    assert choose_scale(64.0, 3) == 64.0
    learned = choose_scale(64.0, 3, learn=True)
    assert isinstance(learned, torch.nn.Parameter)
    assert learned.item() == 64
    with pytest.raises(ValueError, match="scale"):
        choose_scale(0.0, 3)


def test_a_learned_scale_is_trained() -> None:
    embeddings, labels = batch([0, 1, 2])
    criterion = CosFace(3, 8, learn_scale=True).double()
    criterion(embeddings, labels).backward()
    (group,) = criterion.parameter_groups()
    assert {id(p) for p in group["params"]} == {id(criterion.scale), id(criterion.prototypes)}
    assert criterion.scale.grad is not None
    assert criterion.scale.grad != 0


def test_prototypes_of_any_number_per_class() -> None:
    assert init_prototypes(4, 8).shape == (4, 8)
    assert init_prototypes(4, 8, 3).shape == (12, 8)
    assert init_prototypes(50, 16).abs().max() <= 0.25
    with pytest.raises(ValueError, match="num_sub_centers"):
        init_prototypes(4, 8, 0)


def test_a_margin_applies_at_the_labels_in_proportion() -> None:
    cosines = torch.tensor([[0.1, 0.2], [0.3, 0.4]])

    def halved(own: Tensor, share: Tensor) -> Tensor:
        return own - share

    hard = with_margin(cosines, torch.tensor([1, 0]), halved)
    torch.testing.assert_close(hard, torch.tensor([[0.1, -0.8], [-0.7, 0.4]]))
    soft = with_margin(cosines, torch.tensor([[0.0, 1.0], [0.25, 0.75]]), halved)
    torch.testing.assert_close(soft, torch.tensor([[0.1, -0.8], [0.05, -0.35]]))


def test_soft_labels_mix_the_losses_of_the_classes() -> None:
    embeddings, _ = batch([0, 0])
    criterion = NormalizedSoftmax(3, 8, temperature=0.5).double()
    mixed = criterion(embeddings, torch.tensor([[0.25, 0.75, 0], [0, 0.5, 0.5]]))
    expected = 0.0
    for x, shares in zip(embeddings.tolist(), ([0.25, 0.75, 0], [0, 0.5, 0.5]), strict=True):
        odds = [math.exp(cosine(x, w) / 0.5) for w in criterion.prototypes.tolist()]
        expected -= sum(t * math.log(o / sum(odds)) for t, o in zip(shares, odds, strict=True)) / 2
    assert mixed.item() == pytest.approx(expected)


def test_a_regularizer_is_added_for_the_prototypes() -> None:
    embeddings, labels = batch([0, 1, 2])
    plain = NormalizedSoftmax(3, 8).double()
    penalized = NormalizedSoftmax(3, 8, regularizer=LpNorm(weight=0.5)).double()
    penalized.load_state_dict(plain.state_dict())
    norms = [math.sqrt(sum(a * a for a in w)) for w in plain.prototypes.tolist()]
    expected = plain(embeddings, labels).item() + 0.5 * sum(norms) / 3
    assert penalized(embeddings, labels).item() == pytest.approx(expected)


def test_tuples_weigh_soft_labels_too() -> None:
    losses, labels = torch.tensor([1.0, 2.0, 5.0]), torch.eye(3)
    triplets = Triplets(*torch.tensor([[0, 0, 1]]).T)
    objective = NormalizedSoftmax(3, 8, reducer=Mean())
    assert loss_over_samples(objective, losses, labels, triplets) == pytest.approx((2 + 2) / 3)


def test_the_margin_is_for_training_only() -> None:
    embeddings, labels = batch([0, 1, 2])
    layer = ClassifierHead(CosFace(3, 8, margin=0.35, scale=10.0)).double()
    plain = layer(embeddings)
    harder = layer(embeddings, labels)
    torch.testing.assert_close(plain - harder, 3.5 * torch.eye(3).double())
    layer.eval()
    torch.testing.assert_close(layer(embeddings, labels), plain)
    with pytest.raises(ValueError, match=r"^labels must"):
        layer(embeddings, labels + 1)


def test_the_similarity_with_a_class_is_the_largest_over_its_prototypes() -> None:
    embeddings, _ = batch([0] * 5)
    prototypes = batch([0] * 6, seed=1)[0]
    got = class_similarities(embeddings, prototypes, 3, Lp(normalize=False)).tolist()
    for x, row in zip(embeddings.tolist(), got, strict=True):
        own = [-math.dist(x, w) for w in prototypes.tolist()]
        assert row == pytest.approx([max(own[2 * c : 2 * c + 2]) for c in range(3)])


def test_an_initializer_sees_all_prototypes_as_rows() -> None:
    filled = init_prototypes(4, 8, 3, init=partial(torch.nn.init.constant_, val=2))
    assert filled.equal(torch.full((12, 8), 2.0))
    assert isinstance(filled, torch.nn.Parameter)
    directions = init_prototypes(2, 8, init=torch.nn.init.orthogonal_)
    torch.testing.assert_close(directions @ directions.T, torch.eye(2))
