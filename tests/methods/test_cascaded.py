"""Cascaded: each slice of the embedding has its own loss on the hardest pairs of the last one."""

import copy
import math
from itertools import product

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from pytorch_metric_learning.miners import HDCMiner as TheirMiner
from pytorch_metric_learning.trainers import CascadedEmbeddings
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from architectures.convnet import convnet
from batch_mining.batch_hard import BatchHardMiner
from core.reducer import NonZeroMean
from core.regularizer import LpNorm
from core.types import Outputs, Pairs
from criteria.arcface import ArcFace
from criteria.contrastive import Contrastive
from criteria.regularized import Regularized
from criteria.triplet import TripletMargin
from engine.parameter_groups import parameter_groups
from methods.cascaded import Cascaded
from methods.cascaded_embedder import LayerHeads, UnitSlices
from methods.method import Batch, Losses

LABELS = [0, 1, 2, 3] * 4
SIZES = [4, 2, 3]
FRACTIONS = [0.7, 0.5, 0.3]


def images() -> Tensor:
    return torch.randn(len(LABELS), 5, generator=torch.Generator().manual_seed(0))


def pictures(number: int = 2) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (number, 3, 28, 28), dtype=torch.uint8, generator=draw)


def cascade(number: int = 3, loss: nn.Module | None = None, **settings: object) -> Cascaded:
    further = [copy.deepcopy(loss or Contrastive()) for _ in range(number - 1)]
    settings = {"fractions": FRACTIONS[:number], "sizes": SIZES[:number], **settings}
    dim = sum(settings["sizes"]) if settings["sizes"] else 9
    return Cascaded(nn.Identity(), None, dim, further, **settings)


def run(method: Cascaded, network: nn.Module, criterion: nn.Module, given: Tensor) -> Losses:
    embedder = method.embedder(network)
    batch = Batch(given, torch.tensor(LABELS), 0)
    return method(batch, lambda x: Outputs(embedder(x)), criterion)


def unit_slices(vectors: Tensor) -> list[np.ndarray]:
    """Each slice of each row, divided by its length."""
    parts = np.split(vectors.detach().double().numpy(), np.cumsum(SIZES)[:-1], axis=1)
    return [np.array([row / math.sqrt(sum(row * row)) for row in part]) for part in parts]


def hardest_pairs(
    x: np.ndarray, candidates: list[tuple[int, int]], fraction: float, far: bool
) -> list[tuple[int, int]]:
    """The ceil(fraction P) farthest, or nearest, of P pairs; the first ones of equally far."""
    order = sorted(candidates, key=lambda pair: (1 if not far else -1) * distance(x, *pair))
    return sorted(order[: math.ceil(fraction * len(candidates))])


def distance(x: np.ndarray, i: int, j: int) -> float:
    return round(math.sqrt(sum((x[i] - x[j]) ** 2)), 9)


def all_pairs() -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    ordered = [(i, j) for i, j in product(range(len(LABELS)), repeat=2) if i != j]
    alike = [(i, j) for i, j in ordered if LABELS[i] == LABELS[j]]
    return alike, sorted(set(ordered) - set(alike))


class Recorded(Contrastive):
    """Keeps the tuples that it is given."""

    given: Pairs

    def forward(self, embeddings: Tensor, labels: Tensor, tuples: Pairs) -> Tensor:
        self.given = tuples
        return super().forward(embeddings, labels, tuples)


@pytest.mark.parametrize("nested", [True, False])
def test_losses_are_those_of_the_hardest_pairs_in_loops(nested: bool) -> None:
    torch.manual_seed(3)
    network = nn.Linear(5, sum(SIZES))
    method = cascade(nested=nested, loss=Recorded(), loss_weights=[1, 2, 0.5])
    criterion = Recorded()
    losses = run(method, network, criterion, images())
    positives, negatives = all_pairs()
    slices = unit_slices(network(images()))
    recorded = [criterion, *method.further_losses]
    for k, (x, fraction, weight) in enumerate(zip(slices, FRACTIONS, [1, 2, 0.5], strict=True)):
        if not nested:
            positives, negatives = all_pairs()
        positives = hardest_pairs(x, positives, fraction, far=True)
        negatives = hardest_pairs(x, negatives, fraction, far=False)
        expected = np.mean([distance(x, *pair) ** 2 / 2 for pair in positives])
        expected += np.mean([max(0, 1 - distance(x, *pair)) ** 2 / 2 for pair in negatives])
        assert losses[f"slice_{k + 1}"].item() == pytest.approx(weight * expected, rel=1e-5)
        for mask, pairs, far in zip(recorded[k].given, (positives, negatives), (1, 0), strict=True):
            kept = [tuple(pair) for pair in mask.nonzero().tolist()]
            lengths = sorted(distance(x, *pair) for pair in kept)
            expected_lengths = sorted(distance(x, *pair) for pair in pairs)
            assert lengths == pytest.approx(expected_lengths, abs=1e-5), (k, far)
    assert list(losses) == ["slice_1", "slice_2", "slice_3"]


def test_a_loss_moves_its_own_slice_alone() -> None:
    network = nn.Linear(5, sum(SIZES))
    for number, loss in enumerate(run(cascade(), network, Contrastive(), images()).values()):
        (gradient,) = torch.autograd.grad(loss, network.weight, retain_graph=True)
        moved = [bool(part.any()) for part in gradient.split(SIZES)]
        assert moved == [number == k for k in range(3)]


@pytest.mark.parametrize("weights", [None, [1, 2, 3]])
def test_an_embedding_is_the_concatenation_of_weighted_unit_slices(
    weights: list[int] | None,
) -> None:
    network = nn.Linear(5, sum(SIZES))
    method = cascade(slice_weights=weights)
    embeddings = method.embedder(network)(images()).detach().double().numpy()
    slices = unit_slices(network(images()))
    whole = math.sqrt(sum(w * w for w in weights or [1, 1, 1]))
    expected = [part * w / whole for part, w in zip(slices, weights or [1, 1, 1], strict=True)]
    np.testing.assert_allclose(embeddings, np.concatenate(expected, axis=1), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    for (name, dimensions), part in zip(method.parts.items(), expected, strict=True):
        np.testing.assert_allclose(embeddings[:, dimensions], part, atol=1e-6, err_msg=name)


def test_slices_are_equal_by_default_and_the_first_take_the_remainder() -> None:
    assert cascade(sizes=None).sizes == [3, 3, 3]
    assert Cascaded(nn.Identity(), None, 128, [Contrastive()] * 2).sizes == [43, 43, 42]


def test_layers_have_heads_of_their_own() -> None:
    backbone = convnet(embedding_dim=9, width=4).eval()
    method = cascade(layers=["2", "4"])
    embedder = method.embedder(backbone).eval()
    maps, features = backbone.normalization(pictures()), []
    for number, layer in enumerate(backbone.trunk):
        maps = layer(maps)
        if number in (2, 4, len(backbone.trunk) - 1):
            features.append(maps.mean(dim=(2, 3)))
    heads = embedder.network.head
    raw = torch.cat([f @ h.weight.T + h.bias for f, h in zip(features, heads, strict=True)], dim=1)
    torch.testing.assert_close(embedder(pictures()), UnitSlices(nn.Identity(), SIZES, [1] * 3)(raw))
    assert [head.out_features for head in heads] == SIZES
    embedder(pictures()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in embedder.parameters())


def test_a_copy_of_the_network_uses_its_own_layers() -> None:
    embedder = cascade(layers=["2", "4"]).embedder(convnet(embedding_dim=9, width=4)).eval()
    other = copy.deepcopy(embedder)
    with torch.no_grad():
        for parameter in embedder.parameters():
            parameter.zero_()
    assert not other(pictures()).equal(embedder(pictures()))


@pytest.mark.parametrize("layers", [[], ["2", "4"]])
def test_the_heads_have_the_learning_rate_of_heads(layers: list[str]) -> None:
    method = cascade(layers=layers)
    embedder = method.embedder(convnet(embedding_dim=9, width=4))
    groups = parameter_groups(embedder, Contrastive(), 0.5, method)
    (head,) = [group for group in groups if group["name"] == "head"]
    assert head["lr"] == 0.5
    assert sum(p.shape[0] for p in head["params"] if p.ndim == 2) == sum(SIZES)


def test_losses_have_their_own_parameters_and_learning_rates() -> None:
    loss = ArcFace(num_classes=4, embedding_dim=3, lr=0.25)
    method = cascade(loss=loss, sizes=[3, 3, 3])
    groups = method.parameter_groups()
    assert [group["lr"] for group in groups] == [0.25, 0.25]
    assert len({id(p) for group in groups for p in group["params"]}) == 2
    assert len([key for key in method.state_dict() if key.endswith("prototypes")]) == 2


def test_a_classification_loss_weighs_samples_by_their_pairs() -> None:
    loss = ArcFace(num_classes=4, embedding_dim=3)
    method, network = cascade(loss=loss, sizes=[3, 3, 3]), nn.Linear(5, 9)
    losses = run(method, network, loss, images())
    vectors = network(images())[:, :3]
    labels = torch.tensor(LABELS)
    kept = method.choose(vectors, labels, FRACTIONS[0], None, None)
    torch.testing.assert_close(losses["slice_1"], loss(vectors, labels, kept))
    assert not losses["slice_1"].equal(loss(vectors, labels))


def test_a_loss_with_a_miner_starts_from_the_tuples_of_the_miner() -> None:
    miner, labels = BatchHardMiner(), torch.tensor(LABELS)
    vectors = images()
    everything = cascade().choose(vectors, labels, 1, miner, Pairs(*torch.zeros(2, 16, 16).bool()))
    for got, expected in zip(everything[:3], miner(vectors, labels)[:3], strict=True):
        assert got.equal(expected)
    some = cascade().choose(vectors, labels, 0.5, miner, None)
    chosen = {
        (int(a), int(n)) for a, n in zip(everything.anchors, everything.negatives, strict=True)
    }
    kept = {tuple(pair) for pair in some.negatives.nonzero().tolist()}
    assert kept < chosen
    assert len(kept) == math.ceil(len(chosen) / 2)


def test_a_loss_must_take_the_pairs() -> None:
    class Other(nn.Module):
        def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor: ...

    with pytest.raises(ValueError, match="Other of slice_1 takes no tuples"):
        cascade().check(None, Other())
    message = (
        "prototypes of 9 dimensions, and slice_1 has 4; choose slices of equal size, "
        "backbone.embedding_dim=12 loss.embedding_dim=4"
    )
    with pytest.raises(ValueError, match=message):
        cascade().check(None, ArcFace(num_classes=4, embedding_dim=9))
    hidden = Regularized(TripletMargin(miner=BatchHardMiner()), LpNorm())
    with pytest.raises(ValueError, match="loss inside Regularized has a miner"):
        cascade(loss=hidden).check(None, hidden)
    cascade().check(None, Contrastive(miner=BatchHardMiner()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": [1, 0.5]}, "fractions must have one entry for each of the 3 losses"),
        ({"fractions": [1, 0.5, 0]}, "fractions must be in (0, 1]"),
        ({"sizes": [5, 5]}, "sizes must have one entry for each of the 3 losses"),
        ({"loss_weights": [1]}, "loss_weights must have one entry for each of the 3 losses"),
        ({"loss_weights": [1, 1, 0]}, "loss_weights and slice_weights must be positive"),
        ({"slice_weights": [1, 1, -1]}, "loss_weights and slice_weights must be positive"),
        ({"layers": ["2"]}, "layers must name 2 layers"),
    ],
)
def test_impossible_settings_are_an_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=r".*") as error:
        cascade(**settings)
    assert str(error.value).startswith(message)


def test_sizes_must_sum_to_the_dimensions_of_the_embedding() -> None:
    with pytest.raises(ValueError, match=r"^sizes must sum to the embedding_dim .* 10, got \[4"):
        Cascaded(nn.Identity(), None, 10, [Contrastive()] * 2, sizes=SIZES)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["2", "nine"], r"the trunk has no layer 'nine'; it has 0, 1, 2"),
        (["2.1", "22"], r"the trunk has no layer '22'; it has 2.2, 2"),
    ],
)
def test_an_unknown_layer_names_those_there_are(layers: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LayerHeads(convnet(embedding_dim=9, width=4), layers, SIZES)


def test_layers_need_a_trunk_with_feature_maps() -> None:
    with pytest.raises(ValueError, match="Linear has no trunk"):
        LayerHeads(nn.Linear(5, 9), ["2"], [4, 5])
    backbone = convnet(embedding_dim=9, width=4)
    backbone.trunk.append(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (-1, 1, 1))))
    with pytest.raises(ValueError, match=r"layers: 7.0 gives \(1, 12544\), no feature maps"):
        LayerHeads(backbone, ["7.0"], [4, 5])


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True")  # of its trainer
def test_a_step_is_that_of_pytorch_metric_learning() -> None:
    """One step of SGD of CascadedEmbeddings with its HDC miners, from the same weights."""
    torch.manual_seed(0)
    network, trunk = nn.Linear(5, sum(SIZES)), nn.Linear(5, sum(SIZES))
    trunk.load_state_dict(network.state_dict())
    weights = [1.0, 2.0, 0.5]
    CascadedEmbeddings(
        SIZES,
        models={"trunk": trunk},
        optimizers={"trunk_optimizer": torch.optim.SGD(trunk.parameters(), lr=0.1)},
        batch_size=len(LABELS),
        loss_funcs={f"metric_loss_{k}": ContrastiveLoss() for k in range(3)},
        mining_funcs={f"tuple_miner_{k}": TheirMiner(f) for k, f in enumerate(FRACTIONS)},
        loss_weights={f"metric_loss_{k}": weight for k, weight in enumerate(weights)},
        dataset=TensorDataset(images(), torch.tensor(LABELS)),
        dataloader_num_workers=0,
        data_device=torch.device("cpu"),
    ).train(num_epochs=1)
    loss = Contrastive(power=1, reducer=NonZeroMean())
    losses = run(cascade(loss=loss, loss_weights=weights), network, loss, images())
    sum(losses.values()).backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    torch.testing.assert_close(network.state_dict(), trunk.state_dict())
