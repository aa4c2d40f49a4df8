"""Adversarial method: its losses by definition, and which parameters each of them reaches."""

from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning import reducers
from pytorch_metric_learning.miners import EmbeddingsAlreadyPackagedAsTriplets
from pytorch_metric_learning.trainers.deep_adversarial_metric_learning import (
    DeepAdversarialMetricLearning,
    NegativeLpDistance,
)
from torch import Tensor, nn

from architectures.embedder import Embedder
from core.random_triplets import RandomTriplets
from core.types import Outputs
from criteria.proxynca import ProxyNCA
from criteria.triplet import TripletMargin
from engine.learner import Learner, set_up
from methods.adversarial import LOSSES, Adversarial
from methods.method import Batch, Losses
from methods.plain import Plain
from tests.batches import chi_square_p
from tests.commands import command
from tests.test_main import assert_same, only, state

LABELS = torch.tensor([0, 0, 0, 1, 1, 2])  # 2 has no positive
ALONE = torch.arange(6)
MARGIN = 0.8  # both hinges are open in some of the triplets


def embedder(normalize: bool = True) -> Embedder:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 5, 1), nn.Tanh())
    return Embedder(
        trunk, 5, Scaled(), embedding_dim=4, pooling="avg", normalize=normalize, batchnorm="trained"
    )


class Scaled(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images / 100 - 1


def images(step: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(step)
    return torch.randint(256, (6, 3, 2, 2), dtype=torch.uint8, generator=draw)


def detailed(model: Embedder, given: Tensor) -> Outputs:
    outputs = model(given, detailed=True)
    assert isinstance(outputs, Outputs)
    return outputs


def losses_of(
    method: Adversarial, model: Embedder, criterion: nn.Module, labels: Tensor = LABELS
) -> Losses:
    batch = Batch(images(), labels, method.metric_alone_epochs + method.generator_alone_epochs)
    named: Losses = method(batch, lambda given: detailed(model, given), criterion)
    return named


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("squared", [True, False])
def test_losses_equal_the_definition(squared: bool, normalize: bool) -> None:
    """Triplet by triplet in NumPy; the perceptron on the three features one after another."""
    model, criterion = embedder(normalize), TripletMargin()
    weights = {"synthetic": 0.5, "hard": 2.0, "regular": 3.0, "adversarial": 0.25}
    method = Adversarial(
        *(model, criterion), triplets_per_anchor=7, margin=MARGIN, squared=squared, weights=weights
    )
    named = losses_of(method, model, criterion)
    outputs = detailed(model, images())
    assert outputs.features is not None
    f, e = (x.detach().double().numpy() for x in (outputs.features, outputs.embeddings))
    names = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
    w1, b1, w2, b2 = (method.generator.get_parameter(n).detach().double().numpy() for n in names)
    head = model.head.weight.detach().double().numpy(), model.head.bias.detach().double().numpy()
    expected: dict[str, list[float]] = {name: [] for name in LOSSES[1:]}
    triplets = RandomTriplets(7, 0)(torch.zeros(len(LABELS), 1), LABELS)
    assert triplets.valid is not None
    for a, p, n, valid in zip(*(part.tolist() for part in triplets), strict=True):
        assert valid == (a != 5)
        if not valid:
            continue
        synthetic = w2 @ np.maximum(w1 @ np.concatenate([f[a], f[p], f[n]]) + b1, 0) + b2
        embedded = head[0] @ synthetic + head[1]
        power = 2 if squared else 1
        nearer = np.linalg.norm(unit(e[a]) - unit(e[p])) ** power
        farther = np.linalg.norm(unit(e[a]) - unit(embedded)) ** power
        expected["synthetic"].append(max(0, nearer - farther + MARGIN))
        expected["adversarial"].append(max(0, farther - nearer - MARGIN))
        expected["hard"].append(np.linalg.norm(unit(synthetic) - unit(f[a])) ** 2)
        expected["regular"].append(np.linalg.norm(unit(synthetic) - unit(f[n])) ** 2)
    assert named.keys() == set(LOSSES)
    assert named["metric"].item() == criterion(outputs.embeddings, LABELS).item()
    for name, each in expected.items():
        assert named[name].item() == pytest.approx(weights[name] * np.mean(each), rel=1e-5)
        assert named[name].item() > 0


REACHED = {  # by each loss
    "metric": {"trunk", "head", "criterion"},
    "synthetic": {"trunk", "head"},
    "hard": {"generator"},
    "regular": {"generator"},
    "adversarial": {"generator"},
}


def parts_of(model: Embedder, method: Adversarial, criterion: nn.Module) -> dict[str, nn.Module]:
    parts: dict[str, nn.Module] = {"trunk": model.trunk, "head": model.head}
    return {**parts, "generator": method.generator, "criterion": criterion}


def gradients(loss: Tensor, part: nn.Module) -> list[Tensor]:
    found = torch.autograd.grad(
        loss, list(part.parameters()), retain_graph=True, materialize_grads=True, allow_unused=True
    )
    return list(found)


@pytest.fixture
def setting() -> tuple[Embedder, Adversarial, nn.Module]:
    model, criterion = embedder(), ProxyNCA(num_classes=3, embedding_dim=4)
    return model, Adversarial(model, criterion, triplets_per_anchor=7, margin=0.3), criterion


def test_each_loss_reaches_the_parameters_that_it_should(
    setting: tuple[Embedder, Adversarial, nn.Module],
) -> None:
    named, parts = losses_of(*(setting[1], setting[0], setting[2])), parts_of(*setting)
    for name, loss in named.items():
        moved = {part for part in parts if any(g.any() for g in gradients(loss, parts[part]))}
        assert moved == REACHED[name], name


def test_one_backward_of_the_sum_gives_each_part_its_own_losses(
    setting: tuple[Embedder, Adversarial, nn.Module],
) -> None:
    named, parts = losses_of(*(setting[1], setting[0], setting[2])), parts_of(*setting)
    separate = {
        part: [
            sum(g)
            for g in zip(
                *(gradients(named[n], parts[part]) for n in LOSSES if part in REACHED[n]),
                strict=True,
            )
        ]
        for part in parts
    }
    torch.stack(list(named.values())).sum().backward()
    for part, expected in separate.items():
        for parameter, gradient in zip(parts[part].parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)


def test_the_generator_sees_through_the_fixed_head(
    setting: tuple[Embedder, Adversarial, nn.Module],
) -> None:
    """Its gradient is that of a head whose parameters do have gradients."""
    model, method, criterion = setting
    found = gradients(losses_of(method, model, criterion)["adversarial"], method.generator)
    outputs = detailed(model, images())
    assert outputs.features is not None
    triplets = RandomTriplets(7, 0)(torch.zeros(len(LABELS), 1), LABELS)
    embedded = model.embed_features(method.generator(outputs.features, triplets))
    a, p = outputs.embeddings[triplets.anchors], outputs.embeddings[triplets.positives]
    hinges = ((a - embedded).square().sum(1) - (a - p).square().sum(1) - 0.3).relu()
    naive = gradients(hinges[triplets.anchors < 5].mean(), method.generator)
    for one, other in zip(found, naive, strict=True):
        torch.testing.assert_close(one, other)


def test_losses_as_in_pytorch_metric_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which divides two of them by the number of features."""
    model, criterion = embedder(normalize=False), TripletMargin()
    method = Adversarial(model, criterion, triplets_per_anchor=7, margin=MARGIN, squared=False)
    named = losses_of(method, model, criterion)
    outputs = detailed(model, images())
    triplets = RandomTriplets(7, 0)(torch.zeros(len(LABELS), 1), LABELS)
    indices = tuple(part[triplets.anchors < 5] for part in triplets[:3])

    trainer = object.__new__(DeepAdversarialMetricLearning)
    hinge = pml.TripletMarginLoss(margin=MARGIN, reducer=reducers.MeanReducer())
    turned = pml.TripletMarginLoss(
        margin=-MARGIN, distance=NegativeLpDistance(), reducer=reducers.MeanReducer()
    )
    generator = method.generator
    models = {
        "embedder": model.head,
        "generator": nn.Sequential(generator.hidden, nn.ReLU(), generator.output),
    }
    trainer.__dict__.update(
        models=models,
        losses={},
        do_both=True,
        g_triplets_per_anchor=7,
        data_device="cpu",
        embedder=model.head,
        loss_funcs={"synth_loss": hinge, "g_adv_loss": turned},
        mining_funcs={"synth_packaged_as_triplets": EmbeddingsAlreadyPackagedAsTriplets()},
    )
    module = "pytorch_metric_learning.trainers.deep_adversarial_metric_learning"
    drawn = SimpleNamespace(convert_to_triplets=lambda *_, **__: indices)
    monkeypatch.setattr(f"{module}.lmu", drawn)
    trainer.calculate_synth_loss(outputs.features, LABELS)
    theirs = {name.removeprefix("g_"): loss.item() for name, loss in trainer.losses.items()}
    ours = {name: loss.item() for name, loss in named.items()}
    assert ours["synthetic"] == pytest.approx(theirs["synth_loss"], rel=1e-5)
    assert ours["adversarial"] == pytest.approx(theirs["adv_loss"], rel=1e-5)
    assert ours["hard"] == pytest.approx(5 * theirs["hard_loss"], rel=1e-5)
    assert ours["regular"] == pytest.approx(5 * theirs["reg_loss"], rel=1e-5)


def test_triplets_are_drawn_uniformly() -> None:
    number = 3000
    anchors, positives, negatives, valid = RandomTriplets(number, 0)(
        torch.zeros(len(LABELS), 1), LABELS
    )
    assert valid is not None
    for anchor in range(5):
        rows = anchors == anchor
        assert rows.sum() == number
        assert valid[rows].all()
        labels = LABELS.tolist()
        candidates = [
            (p, n)
            for p, n in product(range(6), repeat=2)
            if p != anchor and labels[p] == labels[anchor] != labels[n]
        ]
        drawn = list(zip(positives[rows].tolist(), negatives[rows].tolist(), strict=True))
        assert set(drawn) <= set(candidates)
        counts = [drawn.count(candidate) for candidate in candidates]
        assert chi_square_p(counts, [1 / len(candidates)] * len(candidates)) > 0.001
    assert not valid[anchors == 5].any()


def test_a_batch_without_triplets_has_losses_of_zero(
    setting: tuple[Embedder, Adversarial, nn.Module],
) -> None:
    model, method, _ = setting
    named = losses_of(method, model, TripletMargin(), ALONE)
    assert all(loss.item() == 0 for loss in named.values())
    torch.stack(list(named.values())).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def learner(epochs: tuple[int, int], plain: bool = False) -> Learner:
    model, criterion = embedder(), ProxyNCA(num_classes=3, embedding_dim=4)
    method = Adversarial(model, criterion, *epochs, triplets_per_anchor=4, lr=0.01)
    return set_up(
        Fabric(accelerator="cpu", devices=1),
        model,
        criterion,
        lambda groups: torch.optim.Adam(groups, lr=0.01, weight_decay=0.1),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        head_lr=None,
        max_grad_norm=None,
        method=Plain(model, criterion) if plain else method,
    )


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def moved(learner: Learner, epoch: int) -> tuple[set[str], set[str]]:
    """The parts that a step moves, and the losses that it records."""
    parts = {"embedder": learner.model, "criterion": learner.criterion, "method": learner.method}
    before = {name: copied(part) for name, part in parts.items()}
    measured = learner.step((images(epoch), LABELS), epoch).measured
    names = {name.removeprefix("train/loss/") for name in measured if "loss/" in name}
    after = {name: copied(part) for name, part in parts.items()}
    return {
        name for name in parts if any(not after[name][p].equal(v) for p, v in before[name].items())
    }, names


def test_first_the_metric_alone_then_the_generator_alone_then_all() -> None:
    one = learner((1, 2))
    embeds, generator = {"embedder", "criterion"}, {"hard", "regular", "adversarial"}
    assert moved(one, epoch=0) == (embeds, set())
    assert moved(one, epoch=1) == ({"method"}, generator)
    assert moved(one, epoch=2) == ({"method"}, generator)
    assert moved(one, epoch=3) == ({*embeds, "method"}, set(LOSSES))
    assert moved(learner((0, 0)), epoch=0) == ({*embeds, "method"}, set(LOSSES))


def test_the_metric_alone_is_the_plain_method() -> None:
    ends = []
    for plain in (True, False):
        one = learner((1, 0), plain)
        one.step((images(), LABELS), 0)
        ends.append((one.model.state_dict(), one.criterion.state_dict()))
    assert_same(*ends)


def test_the_checkpoint_holds_the_generator_and_not_the_backbone() -> None:
    method = learner((0, 0)).state()["method"]
    names = {name for name in method.state_dict() if not name.startswith("draw_triplets.")}
    assert names == {f"generator.{n}.{w}" for n in ("hidden", "output") for w in ("weight", "bias")}


class MeanColour(nn.Module):
    """A backbone without pooled features."""

    def __init__(self, embedding_dim: int, **_: object) -> None:
        super().__init__()
        self.head = nn.Linear(3, embedding_dim)

    def forward(self, given: Tensor) -> Tensor:
        embeddings: Tensor = self.head(given.float().mean(dim=(2, 3)))
        return embeddings


SMALL = ("method=adversarial", "loss=triplet", "batchminer=none", "method.triplets_per_anchor=3")


def test_an_interrupted_run_goes_on_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draws of the triplets go on, too."""
    whole = command(tmp_path / "whole", *SMALL)
    parts = state(whole)["parts"]
    assert "generator.hidden.weight" in parts["method"]
    step, taken = Learner.step, []

    def stopped(self: Learner, *batch: object) -> object:
        taken.append(1)
        if len(taken) == 3:
            raise RuntimeError("stopped")
        return step(self, *batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", stopped)
        with pytest.raises(SystemExit, match="stopped"):
            command(tmp_path / "halves", *SMALL)
    assert state(only(tmp_path / "halves"))["position"] == 2
    assert_same(parts, state(command(tmp_path / "halves", *SMALL))["parts"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trainer.chunk_size=5", "uses features, and trainer.chunk_size caches embeddings only"),
        ("sampler.samples_per_class=1 loss=softmax", "choose sampler.samples_per_class=2 or more"),
        ("++method.weights.hrad=1", "weights must name some of metric, synthetic, hard, regular"),
        ("method.weights.hard=-1", "method.weights={"),
        ("method.metric_alone_epochs=-1", "must be a whole number >= 0"),
        ("backbone.head=bnneck", "would change the statistics of BatchNorm in the head"),
        (
            "backbone._target_=tests.methods.test_adversarial.MeanColour",
            "the method needs an architectures.embedder.Embedder",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as raised:
        command(
            tmp_path,
            "method=adversarial",
            "sampler.batch_size=4",
            "sampler.samples_per_class=2",
            *line.split(),
        )
    said = str(raised.value)
    assert said.startswith("error: ")
    assert message in said
    assert "\n" not in said


def test_weights_and_triplets_are_checked() -> None:
    with pytest.raises(ValueError, match=r"weights must not be negative, got \['hard'\]"):
        Adversarial(embedder(), None, weights={"hard": -1})
    with pytest.raises(ValueError, match=r"triplets_per_anchor must be .*at least 1, got 0"):
        Adversarial(embedder(), None, triplets_per_anchor=0)
