"""Tuples to weights: an image is drawn as often as a miner names it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from batch_mining.distance import DistanceWeightedMiner
from batch_mining.multisimilarity import MultiSimilarityMiner
from core.random import SeededRandom
from core.types import Triplets
from datasampler.planning.stored_embeddings import StoredEmbeddings
from datasampler.tuples_to_weights import TuplesToWeights
from tests.samplers import assert_distribution, epoch

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(6), 5))
ROWS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


class Fixed(nn.Module):
    """Names the image whose embedding is largest twice, and the two next to it once."""

    def forward(self, embeddings: Tensor, labels: Tensor, *_references: object) -> Triplets:
        order = embeddings[:, 0].argsort(descending=True)
        assert len(labels) == len(embeddings)
        return Triplets(order[[0, 0]], order[[1, 1]], order[[2, 2]], torch.tensor([True, False]))


def sampler(miner: object, **options: object) -> TuplesToWeights:
    built = TuplesToWeights(LABELS, **({"batch_size": 5, "miner": miner, "seed": 0} | options))
    built.storage.fill(ROWS)
    return built


def images_of(built: TuplesToWeights, epochs: int) -> list[int]:
    return [i for number in range(epochs) for batch in epoch(built, number) for i in batch]


def test_images_are_drawn_in_proportion_to_their_tuples() -> None:
    top = ROWS[:, 0].argsort(descending=True)[:3].tolist()
    assert_distribution(images_of(sampler(Fixed()), 100), dict.fromkeys(top, 1 / 3))


def test_counts_are_those_of_all_pairs_and_roles() -> None:
    """Each image of a pair counts, in both roles, as in pytorch-metric-learning."""
    from pytorch_metric_learning.miners import MultiSimilarityMiner as TheirMiner
    from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_weights

    rows = nn.functional.normalize(ROWS)
    labels = torch.from_numpy(LABELS)
    expected = convert_to_weights(TheirMiner(0.1)(rows, labels), labels, dtype=torch.float32)
    built = sampler(MultiSimilarityMiner(0.1))
    counts = built._count(np.arange(30), np.random.default_rng(0))
    np.testing.assert_allclose(counts / counts.max(), expected, rtol=1e-6)
    assert len(set(counts.tolist())) > 3


def test_without_tuples_all_images_of_the_subset_are_alike() -> None:
    def nothing(embeddings: Tensor, labels: Tensor, *_references: object) -> Triplets:  # noqa: ARG001
        return Triplets(*(torch.zeros(0, dtype=torch.long) for _ in range(3)))

    assert_distribution(images_of(sampler(nothing), 100), dict.fromkeys(range(30), 1 / 30))


def test_an_epoch_draws_from_a_random_subset() -> None:
    built = sampler(Fixed(), subset_size=10)
    assert len(built) == 2
    seen = set()
    for number in range(60):
        batches = epoch(built, number)
        images = {image for batch in batches for image in batch}
        assert len(images) <= 3
        seen |= images
    assert len(seen) > 12, "the subset is another in every epoch"
    assert len(sampler(Fixed(), subset_size=None)) == len(sampler(Fixed(), subset_size=999)) == 6


def test_the_miner_begins_anew_in_every_epoch_and_never_changes() -> None:
    miner = DistanceWeightedMiner(seed=3)
    before = dict(miner.state_dict())
    built = sampler(miner, subset_size=20)
    first = epoch(built, 0)
    epoch(built, 1)
    assert epoch(built, 0) == first
    assert epoch(sampler(DistanceWeightedMiner(seed=4), subset_size=20), 0) == first
    assert all(torch.equal(value, before[name]) for name, value in miner.state_dict().items())
    (draw,) = (part for part in miner.modules() if isinstance(part, SeededRandom))
    assert draw.seed == 3


def test_a_miner_that_a_loss_uses_too_begins_anew_as_well() -> None:
    used = DistanceWeightedMiner(seed=3)
    built = sampler(used, subset_size=20)
    first = epoch(built, 0)
    for _ in range(2):
        used(ROWS, torch.from_numpy(LABELS))
        assert epoch(built, 0) == first


def test_all_images_are_embedded_again_before_every_epoch_by_default() -> None:
    storage = TuplesToWeights(LABELS, 5, Fixed(), 0).storage
    assert isinstance(storage, StoredEmbeddings)
    assert storage.refresh_every == 1
    assert not storage.keeps_steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 31}, r"batch_size=31 must lie in 1\.\.30, the images of the subset"),
        ({"subset_size": 4}, r"batch_size=5 must lie in 1\.\.4"),
        ({"miner": None}, "needs a miner, that of the loss or its own: batchminer=distance, or"),
    ],
)
def test_what_cannot_be_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuplesToWeights(LABELS, **({"batch_size": 5, "miner": Fixed(), "seed": 0} | options))
