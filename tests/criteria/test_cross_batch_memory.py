"""The memory against a plain list of what was seen."""

import io

import pytest
import torch
from torch import nn

from batch_mining.semihard import SemiHardMiner
from criteria.contrastive import Contrastive
from criteria.cross_batch_memory import CrossBatchMemory
from criteria.multisimilarity import MultiSimilarity
from criteria.triplet import TripletMargin
from tests.batches import batch

OBJECTIVES = {
    "contrastive": Contrastive,
    "multisimilarity": MultiSimilarity,
    "triplet": TripletMargin,
}


@pytest.mark.parametrize("size", [5, 6, 11, 100])
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_value_is_that_of_the_batch_plus_that_against_the_last_embeddings(
    objective: type[nn.Module], size: int
) -> None:
    memory = CrossBatchMemory(objective(), embedding_dim=8, size=size, weight=0.5).double()
    seen: list[tuple[torch.Tensor, int]] = []
    for step in range(5):
        embeddings, labels = batch([0, 0, 1, 1, 2, 3], seed=step)
        expected = objective()(embeddings, labels)
        if seen:
            old = torch.stack([x for x, _ in seen[-size:]])
            old_labels = torch.tensor([label for _, label in seen[-size:]])
            against = objective()(embeddings, labels, references=old, reference_labels=old_labels)
            expected = expected + 0.5 * against
        value = memory(embeddings, labels)
        torch.testing.assert_close(value, expected)
        value.backward()  # the queue has moved on; the graph of this step has not
        seen += zip(embeddings.detach(), labels.tolist(), strict=True)


def test_what_is_remembered_has_no_gradient_and_is_a_copy() -> None:
    memory = CrossBatchMemory(Contrastive(), embedding_dim=8, size=4).double()
    embeddings, labels = batch([0, 0, 1, 1])
    memory(embeddings, labels)
    before = memory.embeddings.clone()
    with torch.no_grad():
        embeddings.zero_()
    assert not memory.embeddings.requires_grad
    assert memory.embeddings.equal(before)


def test_warmup_fills_the_queue_without_using_it() -> None:
    memory = CrossBatchMemory(Contrastive(), embedding_dim=8, size=100, warmup=2).double()
    values = []
    for step in range(3):
        embeddings, labels = batch([0, 0, 1, 1], seed=step)
        values.append(memory(embeddings, labels) - Contrastive()(embeddings, labels))
    assert values[0] == values[1] == 0
    assert values[2] != 0
    assert memory.seen == 12


def test_evaluation_uses_the_queue_and_leaves_it() -> None:
    memory = CrossBatchMemory(Contrastive(), embedding_dim=8, size=100).double()
    embeddings, labels = batch([0, 0, 1, 1])
    memory(embeddings, labels)
    memory.eval()
    assert memory(embeddings, labels) == memory(embeddings, labels)
    assert memory.seen == 4


def test_a_restored_queue_goes_on_as_the_saved_one() -> None:
    saved, restored = (
        CrossBatchMemory(TripletMargin(SemiHardMiner(seed=0)), 8, size=10).double()
        for _ in range(2)
    )
    for step in range(3):
        saved(*batch([0, 0, 1, 1], seed=step))
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for step in range(3, 6):
        embeddings, labels = batch([0, 0, 1, 1], seed=step)
        torch.testing.assert_close(restored(embeddings, labels), saved(embeddings, labels))


def test_a_queue_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^size must"):
        CrossBatchMemory(Contrastive(), embedding_dim=8, size=0)
