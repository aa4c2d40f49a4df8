"""The loss over drawn classes against NumPy; which classes are drawn shows in the gradient."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.regularizer import LpNorm
from criteria.adacos import AdaCos
from criteria.arcface import ArcFace
from criteria.center import Center
from criteria.cosface import CosFace
from criteria.partial_fc import PartialFC
from criteria.proxy_anchor import ProxyAnchor
from criteria.proxynca import ProxyNCA
from criteria.softmax import NormalizedSoftmax
from criteria.softtriple import SoftTriple
from tests.batches import batch, chi_square_p

CLASSES, DIM = 40, 8
BATCH = [7, 7, 0, 39, 21]
OBJECTIVES = {
    "softmax": lambda: NormalizedSoftmax(CLASSES, DIM),
    "sub-centers": lambda: ArcFace(CLASSES, DIM, scale=16.0, num_sub_centers=3),
    "adacos": lambda: AdaCos(CLASSES, DIM),
    "proxynca": lambda: ProxyNCA(CLASSES, DIM),
    "proxy_anchor": lambda: ProxyAnchor(CLASSES, DIM),
    "softtriple": lambda: SoftTriple(CLASSES, DIM, num_sub_centers=2),
}


def step(criterion: nn.Module, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, list[int]]:
    """The value, and the classes whose prototypes have a gradient."""
    criterion.zero_grad()
    value = criterion(embeddings, labels)
    value.backward()
    (gradient,) = (p.grad for name, p in criterion.named_parameters() if "prototypes" in name)
    moved = gradient.reshape(CLASSES, -1).abs().sum(dim=1) > 0
    return value.detach(), moved.nonzero()[:, 0].tolist()


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.125, 0.3, 0.9])
def test_the_loss_is_the_full_loss_restricted_to_the_drawn_classes(share: float) -> None:
    embeddings, labels = batch(BATCH)
    criterion = PartialFC(CosFace(CLASSES, DIM, margin=0.35, scale=10.0), share).double()
    value, drawn = step(criterion, embeddings, labels)
    assert set(BATCH) <= set(drawn)
    assert len(drawn) == share * CLASSES
    prototypes = criterion.objective.prototypes.detach().numpy()
    cosines = unit(embeddings.detach().numpy()) @ unit(prototypes).T
    cosines[np.arange(len(BATCH)), BATCH] -= 0.35
    odds = np.exp(10 * cosines)
    losses = -np.log(odds[np.arange(len(BATCH)), BATCH] / odds[:, drawn].sum(axis=1))
    assert value.item() == pytest.approx(losses.mean())


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_any_objective_with_prototypes_is_as_if_there_were_no_other_classes(
    objective: Callable[[], nn.Module],
) -> None:
    embeddings, labels = batch(BATCH)
    full = objective().double()
    criterion = PartialFC(objective(), share=0.3).double()
    criterion.objective.load_state_dict(full.state_dict())
    value, drawn = step(criterion, embeddings, labels)
    of_class = full.prototypes.detach().reshape(CLASSES, -1, DIM)
    full.prototypes = nn.Parameter(of_class[drawn].flatten(0, 1))
    full.num_classes = len(drawn)
    own = torch.tensor([drawn.index(label) for label in BATCH])
    torch.testing.assert_close(value, full(embeddings, own).detach())
    assert criterion.objective.num_classes == CLASSES
    if isinstance(full, AdaCos):
        assert criterion.objective.scale == full.scale


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_a_share_of_one_and_evaluation_take_all_classes(
    objective: Callable[[], nn.Module],
) -> None:
    embeddings, labels = batch(BATCH)
    full = objective().double()
    whole, part = (PartialFC(objective(), share).double() for share in (1.0, 0.2))
    whole.objective.load_state_dict(full.state_dict())
    torch.testing.assert_close(step(whole, embeddings, labels), step(full, embeddings, labels))
    part.objective.load_state_dict(full.state_dict())
    full.eval(), part.eval()
    torch.testing.assert_close(part(embeddings, labels), full(embeddings, labels))


def test_every_other_class_is_equally_likely() -> None:
    embeddings, labels = batch(BATCH)
    criterion = PartialFC(NormalizedSoftmax(CLASSES, DIM), share=0.25).double()
    counts = np.zeros(CLASSES)
    for _ in range(400):
        counts[step(criterion, embeddings, labels)[1]] += 1
    assert (counts[BATCH] == 400).all()
    others = np.delete(counts, BATCH)
    assert others.sum() == 400 * (10 - 4)
    assert chi_square_p(others.astype(int).tolist(), [1 / len(others)] * len(others)) > 0.01


def test_draws_go_on_where_a_checkpoint_left_them() -> None:
    embeddings, labels = batch(BATCH)
    saved, restored, fresh = (
        PartialFC(NormalizedSoftmax(CLASSES, DIM), share=0.25).double() for _ in range(3)
    )
    first = step(saved, embeddings, labels)[1]
    assert step(fresh, embeddings, labels)[1] == first  # the seed is the same
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    second = step(saved, embeddings, labels)[1]
    assert second != first
    assert step(restored, embeddings, labels)[1] == second


def test_a_batch_of_more_classes_than_the_share_has_them_all() -> None:
    labels = list(range(20))
    embeddings, targets = batch(labels)
    _, drawn = step(PartialFC(ArcFace(CLASSES, DIM), share=0.01).double(), embeddings, targets)
    assert drawn == labels


def test_the_penalty_is_of_the_drawn_prototypes() -> None:
    embeddings, labels = batch(BATCH)
    plain = PartialFC(ArcFace(CLASSES, DIM), share=0.3).double()
    penalized = PartialFC(ArcFace(CLASSES, DIM, regularizer=LpNorm()), share=0.3).double()
    penalized.load_state_dict(plain.state_dict())
    value, drawn = step(plain, embeddings, labels)
    lengths = np.linalg.norm(plain.objective.prototypes.detach().numpy()[drawn], axis=1)
    assert (step(penalized, embeddings, labels)[0] - value).item() == pytest.approx(lengths.mean())


def test_what_it_cannot_do_is_an_error() -> None:
    with pytest.raises(ValueError, match="share must be in"):
        PartialFC(ArcFace(CLASSES, DIM), share=0)
    with pytest.raises(TypeError, match="Center has no trained prototypes"):
        PartialFC(Center(CLASSES, DIM))
    embeddings, labels = batch(BATCH)
    criterion = PartialFC(ArcFace(CLASSES, DIM)).double()
    with pytest.raises(ValueError, match=r"^labels must be in 0\.\.39"):
        criterion(embeddings, labels + 1)
    with pytest.raises(TypeError, match=r"^labels must be integers"):
        criterion(embeddings, torch.eye(CLASSES)[labels])
