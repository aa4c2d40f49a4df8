"""MaximumLossMiner keeps one random part of the batch, the one of the largest loss."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from batch_mining.maximum_loss import MaximumLossMiner
from core.tuples import all_pairs
from tests.batches import batch, chi_square_p

LABELS = [0, 1, 2, 3] * 4


def recorded(losses: Callable[[Tensor], Tensor]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """An objective that remembers the embeddings that it was asked about."""
    asked: list[Tensor] = []

    def objective(embeddings: Tensor, labels: Tensor, **_: Tensor | None) -> Tensor:
        assert len(embeddings) == len(labels)
        asked.append(embeddings)
        return losses(embeddings)

    return objective, asked


def members(part: Tensor, embeddings: Tensor) -> set[int]:
    same = (part[:, None] == embeddings[None]).all(dim=2)
    return set(same.nonzero()[:, 1].tolist())


def test_keeps_all_pairs_of_the_part_of_the_largest_loss() -> None:
    embeddings, labels = batch(LABELS)
    objective, asked = recorded(lambda part: part.sum())
    pairs = MaximumLossMiner(objective, fraction=0.3, trials=5)(embeddings, labels)
    assert [len(part) for part in asked] == [5] * 5
    best = members(max(asked, key=lambda part: float(part.sum())), embeddings)
    assert len(best) == 5
    for kept, possible in zip(pairs, all_pairs(labels), strict=True):
        expected = {(i, j) for i, j in possible.nonzero().tolist() if {i, j} <= best}
        assert {tuple(pair) for pair in kept.nonzero().tolist()} == expected


def test_each_sample_is_in_a_part_equally_often() -> None:
    embeddings, labels = batch([0, 1] * 5)
    objective, asked = recorded(lambda part: part.sum())
    miner = MaximumLossMiner(objective, fraction=0.4, trials=5)
    for _ in range(200):
        miner(embeddings, labels)
    counts = Counter(i for part in asked for i in members(part, embeddings))
    assert chi_square_p([counts[i] for i in range(10)], [0.1] * 10) > 0.001


def test_references_are_all_kept_and_handed_to_the_objective() -> None:
    embeddings, labels = batch(LABELS)
    references, reference_labels = batch([0, 1, 2, 3, 3], seed=1)
    given = {}

    def objective(part: Tensor, _labels: Tensor, **others: Tensor) -> Tensor:
        given.update(others)
        return part.sum()

    pairs = MaximumLossMiner(objective)(embeddings, labels, references, reference_labels)
    assert given["references"] is references
    assert given["reference_labels"] is reference_labels
    named = pairs.positives | pairs.negatives
    assert named.all(dim=1).sum() == named.any(dim=1).sum() == 8


def test_the_whole_batch_is_one_part() -> None:
    embeddings, labels = batch(LABELS)
    pairs = MaximumLossMiner(lambda *_, **__: torch.zeros(()), fraction=1.0)(embeddings, labels)
    for kept, possible in zip(pairs, all_pairs(labels), strict=True):
        assert kept.equal(possible)


@pytest.mark.parametrize("numbers", [{"fraction": 0.0}, {"fraction": 1.5}, {"trials": 0}])
def test_impossible_settings_are_an_error(numbers: dict[str, float]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        MaximumLossMiner(torch.nn.Identity(), **numbers)
