"""Every loss, miner and regularizer that takes a `distance`, with every distance.

Where a component takes only some of them, RESTRICTED has them and the start of its error.
"""

import inspect
import itertools
import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import torch
from hydra.utils import get_class, instantiate
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from batch_mining.batch_hard import BatchHardMiner
from batch_mining.multisimilarity import MultiSimilarityMiner
from batch_mining.pair_margin import PairMarginMiner
from batch_mining.triplet_margin import TripletMarginMiner
from core import regularizer as regularizers
from core.distance import SNR, Cosine, DotProduct, Lp, similarity_range
from core.regularizer import Regularizer
from core.tuples import all_pairs, to_pairs
from core.types import Distance, Pairs
from criteria.contrastive import Contrastive
from criteria.fastap import FastAP
from criteria.intra_pair_variance import IntraPairVariance
from criteria.multisimilarity import MultiSimilarity
from criteria.nca import NCA
from criteria.ntxent import NTXent
from criteria.supcon import SupCon
from criteria.triplet import TripletMargin
from tests.batches import batch, listed
from tests.configured import choices, objective, read, takes_tuples, with_parts

DISTANCES: dict[str, Distance] = {
    "euclidean": Lp(),
    "squared": Lp(power=2),
    "squared of vectors as they are": Lp(power=2, normalize=False),
    "manhattan": Lp(p=1),
    "cosine": Cosine(),
    "dot product": DotProduct(),
    "signal to noise": SNR(),
    "signal to noise of unit vectors": SNR(normalize=True),
}
BOUNDED = {"euclidean", "squared", "cosine"}, "distance must be bounded"
RESTRICTED = {
    "criteria.circle.Circle": ({"cosine", "dot product"}, "distance must be Cosine or DotProduct"),
    "criteria.dynamic_soft_margin.DynamicSoftMargin": BOUNDED,
    "criteria.fastap.FastAP": BOUNDED,
    "criteria.histogram.Histogram": BOUNDED,
    "batch_mining.angular.AngularMiner": (
        {"squared", "squared of vectors as they are"},
        "distance must be squared Euclidean",
    ),
}
ENOUGH: dict[str, dict[str, float]] = {  # so that a miner chooses something at any distance
    "pair_margin": {"positive_margin": -1e4, "negative_margin": 1e4},
    "triplet_margin": {"margin": 1e4},
    "angular": {"angle": 1},
}
every_distance = pytest.mark.parametrize("name", DISTANCES)


@cache
def with_distance(group: str) -> list[str]:
    """The choices whose class takes a distance."""
    found = (choice for choice in choices(group) if choice != "none")
    return [c for c in found if "distance" in inspect.signature(class_of(group, c)).parameters]


def class_of(group: str, choice: str) -> type:
    content = next(with_parts(choice)) if group == "loss" else read(group, choice)
    found: type = get_class(content["_target_"])
    return found


def built(group: str, choice: str, distance: Distance) -> Callable[..., Any]:
    config = objective(choice, "none") if group == "loss" else objective("triplet", choice)
    numbers = ENOUGH.get(choice, {}) if group == "batchminer" else {}
    part: Callable[..., Callable[..., Any]] = instantiate(config[group], _partial_=True)
    return part(distance=distance, **numbers)


def restricted(group: str, choice: str, name: str) -> bool:
    """Whether the component refuses the distance, which is then checked."""
    owner = class_of(group, choice)
    taken, message = RESTRICTED.get(f"{owner.__module__}.{owner.__name__}", (set(DISTANCES), ""))
    if name in taken:
        return False
    with pytest.raises(ValueError, match=f"^{message}.*, got {type(DISTANCES[name]).__name__}"):
        built(group, choice, DISTANCES[name])
    return True


@every_distance
def test_every_loss_has_a_finite_value_and_gradient(name: str, subtests: pytest.Subtests) -> None:
    for loss in with_distance("loss"):
        with subtests.test(loss):
            if restricted("loss", loss, name):
                continue
            embeddings, labels = batch([0, 1, 2, 0, 1, 2, 0, 3])
            criterion = built("loss", loss, DISTANCES[name])
            value = criterion(embeddings.float(), labels)
            value.backward()
            assert value.isfinite()
            assert embeddings.grad is not None
            assert embeddings.grad.isfinite().all()
            if takes_tuples(loss):
                references, reference_labels = batch([0, 1, 2, 0, 3], seed=1)
                against = {"references": references, "reference_labels": reference_labels}
                assert criterion(embeddings, labels, **against).isfinite()


@every_distance
def test_every_miner_chooses_positives_and_negatives(name: str, subtests: pytest.Subtests) -> None:
    embeddings, labels = batch([0, 1, 2, 0, 1, 2, 0, 3])
    references, reference_labels = batch([0, 1, 2, 0, 3], seed=1)
    same, others = all_pairs(labels)
    for miner in with_distance("batchminer"):
        with subtests.test(miner):
            if restricted("batchminer", miner, name):
                continue
            mine = built("batchminer", miner, DISTANCES[name])
            positives, negatives = to_pairs(mine(embeddings, labels), len(labels), len(labels))
            assert positives.any()
            assert negatives.any()
            assert not (positives & ~same).any()
            assert not (negatives & ~others).any()
            mine(embeddings, labels, references, reference_labels)


REGULARIZERS: dict[str, Callable[[Distance], Regularizer]] = {
    "RegularFace": lambda distance: regularizers.RegularFace(distance=distance),
    "SparseCenters": lambda distance: regularizers.SparseCenters(2, distance=distance),
}


@every_distance
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_every_regularizer_has_a_finite_value_and_gradient(regularizer: str, name: str) -> None:
    embeddings, _ = batch([0] * 6)
    value = REGULARIZERS[regularizer](DISTANCES[name])(embeddings.float())
    value.backward()
    assert value.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
    assert embeddings.grad.any()


def test_the_list_of_regularizers_is_complete() -> None:
    classes = dict(inspect.getmembers(regularizers, inspect.isclass))
    own = {name: c for name, c in classes.items() if c.__module__ == regularizers.__name__}
    taking = {name for name, c in own.items() if "distance" in inspect.signature(c).parameters}
    assert taking == set(REGULARIZERS)


@pytest.mark.parametrize("group", ["loss", "batchminer"])
def test_its_yaml_names_the_distance(group: str, subtests: pytest.Subtests) -> None:
    """So that `loss.distance._target_=core.distance.SNR` exchanges it."""
    assert len(with_distance(group)) > 10
    for choice in with_distance(group):
        with subtests.test(choice):
            content = next(with_parts(choice)) if group == "loss" else read(group, choice)
            assert "distance" in content


# ours, theirs; they scale vectors to unit p-norm, here to unit length
PAIRS: dict[str, tuple[Distance, pml_distances.BaseDistance]] = {
    "euclidean": (Lp(), pml_distances.LpDistance()),
    "squared": (Lp(power=2), pml_distances.LpDistance(power=2)),
    "manhattan": (
        Lp(p=1, normalize=False),
        pml_distances.LpDistance(p=1, normalize_embeddings=False),
    ),
    "signal to noise": (SNR(normalize=True), pml_distances.SNRDistance()),
    "cosine": (Cosine(), pml_distances.CosineSimilarity()),
    "dot product": (
        DotProduct(),
        pml_distances.DotProductSimilarity(normalize_embeddings=False),
    ),
}
IN_UNITS_OF_DISTANCE = {
    "contrastive",
    "margin",
    "ranked_list",
    "pair_margin",
}  # not those of a similarity
Builds = Callable[[Any], Callable[..., Any]]
LOSSES: dict[str, tuple[Builds, Builds]] = {
    "contrastive": (
        lambda d: Contrastive(power=1, distance=d),
        lambda d: pml.ContrastiveLoss(distance=d, reducer=MeanReducer()),
    ),
    "intra_pair_variance": (
        lambda d: IntraPairVariance(distance=d),
        lambda d: pml.IntraPairVarianceLoss(distance=d),
    ),
    "multisimilarity": (
        lambda d: MultiSimilarity(base=0, distance=d),
        lambda d: pml.MultiSimilarityLoss(base=0, distance=d),
    ),
    "nca": (lambda d: NCA(distance=d), lambda d: pml.NCALoss(distance=d)),
    "ntxent": (
        lambda d: NTXent(temperature=0.5, distance=d),
        lambda d: pml.NTXentLoss(temperature=0.5, distance=d),
    ),
    "supcon": (
        lambda d: SupCon(temperature=0.5, distance=d),
        lambda d: pml.SupConLoss(temperature=0.5, distance=d, reducer=MeanReducer()),
    ),
    "triplet": (
        lambda d: TripletMargin(distance=d),
        lambda d: pml.TripletMarginLoss(margin=0.2, distance=d, reducer=MeanReducer()),
    ),
}
MINERS: dict[str, tuple[Builds, Builds]] = {
    "batch_hard": (
        lambda d: BatchHardMiner(distance=d),
        lambda d: pml_miners.BatchHardMiner(distance=d),
    ),
    "multisimilarity": (
        lambda d: MultiSimilarityMiner(distance=d),
        lambda d: pml_miners.MultiSimilarityMiner(distance=d),
    ),
    "pair_margin": (
        lambda d: PairMarginMiner(distance=d),
        lambda d: pml_miners.PairMarginMiner(distance=d),
    ),
    "triplet_margin": (
        lambda d: TripletMarginMiner(kind="semihard", distance=d),
        lambda d: pml_miners.TripletMarginMiner(0.2, "semihard", distance=d),
    ),
}


def common_pairs(names: Iterable[str]) -> pytest.MarkDecorator:
    every = itertools.product(names, PAIRS)
    similar = {"cosine", "dot product"}
    kept = [pair for pair in every if not (pair[0] in IN_UNITS_OF_DISTANCE and pair[1] in similar)]
    return pytest.mark.parametrize(("component", "name"), kept)


def short_batch() -> tuple[Tensor, Tensor]:
    """So short that no probability underflows."""
    embeddings, labels = batch([0, 1, 2] * 4)
    return embeddings.detach() / 6, labels


@common_pairs(LOSSES)
def test_a_loss_equals_that_of_pytorch_metric_learning(component: str, name: str) -> None:
    """NT-Xent with the Lp distance of p = 1 is an example of their paper."""
    embeddings, labels = short_batch()
    ours, theirs = (build(d) for build, d in zip(LOSSES[component], PAIRS[name], strict=True))
    value, expected = ours(embeddings, labels), theirs(embeddings, labels)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-9)


@common_pairs(MINERS)
def test_a_miner_chooses_as_that_of_pytorch_metric_learning(component: str, name: str) -> None:
    """The multi-similarity miner with the signal-to-noise ratio is an example of their paper."""
    embeddings, labels = short_batch()
    ours, theirs = (build(d) for build, d in zip(MINERS[component], PAIRS[name], strict=True))
    tuples, expected = ours(embeddings, labels), theirs(embeddings, labels)
    if isinstance(tuples, Pairs):
        found = [mask.nonzero().tolist() for mask in tuples]
        listed_there = [torch.stack(expected[i : i + 2], dim=1).tolist() for i in (0, 2)]
        assert [sorted(pairs) for pairs in found] == [sorted(pairs) for pairs in listed_there]
        assert any(found)
    else:
        assert sorted(listed(tuples)) == sorted(map(tuple, torch.stack(expected, dim=1).tolist()))
        assert listed(tuples)


class Doubled:
    """A distance of a user's own: twice the Manhattan distance."""

    def __call__(self, embeddings: Tensor, references: Tensor | None = None) -> Tensor:
        others = embeddings if references is None else references
        return 2 * (embeddings[:, None] - others).abs().sum(dim=2)

    def similarity(self, embeddings: Tensor, references: Tensor | None = None) -> Tensor:
        return -self(embeddings, references)


def test_a_distance_of_your_own_has_no_bounds_unless_it_states_them() -> None:
    embeddings, labels = short_batch()
    once = NTXent(temperature=0.5, distance=Lp(p=1, normalize=False))
    torch.testing.assert_close(
        NTXent(temperature=1.0, distance=Doubled())(embeddings, labels), once(embeddings, labels)
    )
    with pytest.raises(ValueError, match=r"^distance must be bounded.*, got Doubled\(\)$"):
        FastAP(distance=Doubled())
    own = Doubled()
    own.similarity_range = (-40.0, 0.0)  # type: ignore[attr-defined]
    assert 0 < FastAP(distance=own)(embeddings, labels) < 1


@pytest.mark.parametrize(
    "distance", [Lp(), Lp(power=2), Lp(p=3), Lp(p=4, power=0.5), Cosine(), SNR()]
)
def test_no_similarity_exceeds_the_stated_range(distance: Distance) -> None:
    least, greatest = similarity_range(distance)
    axes = torch.eye(8)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    points = axes, corners, batch([0] * 20)[0].detach()
    found = [distance.similarity(torch.cat([x, -x])) for x in points]
    assert max(float(s.max()) for s in found) == pytest.approx(greatest, abs=1e-6)
    assert min(float(s.min()) for s in found) >= least - 1e-6
    if math.isfinite(least):
        assert min(float(s.min()) for s in found) == pytest.approx(least, abs=1e-5)
