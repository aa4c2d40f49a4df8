"""A weighted sum is the sum of its parts."""

import pytest
import torch

from batch_mining.semihard import SemiHardMiner
from core.tuples import all_pairs
from criteria.contrastive import Contrastive
from criteria.proxynca import ProxyNCA
from criteria.triplet import TripletMargin
from criteria.weighted_sum import WeightedSum
from tests.batches import batch
from tests.configured import composed


def test_value_is_the_sum_of_the_parts_each_with_its_miner() -> None:
    embeddings, labels = batch([0, 0, 1, 1, 2, 2])
    first = TripletMargin(SemiHardMiner(seed=0))
    second = ProxyNCA(num_classes=3, embedding_dim=8).double()
    both = WeightedSum({"first": first, "second": second}, {"second": 0.5})
    first.miner.load_state_dict(SemiHardMiner(seed=0).state_dict())  # draw the same once more
    value = both(embeddings, labels)
    alone = TripletMargin(SemiHardMiner(seed=0))(embeddings, labels)
    torch.testing.assert_close(value, alone + 0.5 * second(embeddings, labels))


def test_given_tuples_and_references_serve_every_part() -> None:
    embeddings, labels = batch([0, 0, 1, 1])
    others, other_labels = batch([0, 1, 2], seed=1)
    against = {"references": others, "reference_labels": other_labels}
    parts = {"a": TripletMargin(SemiHardMiner(seed=0)), "b": Contrastive(SemiHardMiner(seed=0))}
    chosen = all_pairs(labels, other_labels)
    value = WeightedSum(parts)(embeddings, labels, chosen, **against)
    expected = sum(part(embeddings, labels, chosen, **against) for part in parts.values())
    torch.testing.assert_close(value, expected)


def test_parameters_of_every_part_are_listed() -> None:
    both = WeightedSum({"a": ProxyNCA(3, 8, lr=0.1), "b": ProxyNCA(3, 8, lr=0.2)})
    assert [group["lr"] for group in both.parameter_groups()] == [0.1, 0.2]


def test_from_the_command_line_each_objective_and_its_miner_can_be_exchanged() -> None:
    loss = composed(
        "loss=weighted_sum",
        "loss@loss.objectives.first=triplet",
        "batchminer@loss.objectives.first.miner=semihard",
        "loss.weights.first=2",
    ).loss
    assert loss.objectives.first._target_ == "criteria.triplet.TripletMargin"
    assert loss.objectives.first.miner._target_ == "batch_mining.semihard.SemiHardMiner"
    assert loss.weights.first == 2


@pytest.mark.parametrize(
    ("objectives", "weights", "named"),
    [({}, {}, "objectives must"), ({"a": Contrastive()}, {"b": 1.0}, "weights must")],
)
def test_what_names_nothing_is_an_error(
    objectives: dict[str, Contrastive], weights: dict[str, float], named: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{named}"):
        WeightedSum(objectives, weights)
