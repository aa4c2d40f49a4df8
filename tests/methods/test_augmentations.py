"""Augmentations: the views of an image are its class, and the labels are never looked at."""

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from pytorch_metric_learning import losses as pml
from torch import Tensor, nn

from core.types import Outputs
from criteria.contrastive import Contrastive
from criteria.multisimilarity import MultiSimilarity
from criteria.ntxent import NTXent
from criteria.triplet import TripletMargin
from criteria.vicreg import VICReg
from engine.learner import Learner, set_up
from methods.augmentations import Augmentations
from methods.method import Batch
from tests.commands import command
from tests.configured import composed
from tests.test_main import assert_same, only, state

RUN = ("method=augmentations", "loss=ntxent", "sampler.batch_size=20")


def embedded(images: int, views: int) -> Tensor:
    """Embeddings of the views of an image next to one another, as the loader has them."""
    draw = torch.Generator().manual_seed(images * views)
    return torch.randn(images * views, 4, dtype=torch.float64, generator=draw)


def losses(method: Augmentations, embeddings: Tensor, criterion: nn.Module) -> dict[str, Tensor]:
    batch = Batch(torch.empty(0), torch.full((len(embeddings),), 7), 0)
    named: dict[str, Tensor] = method(batch, lambda _: Outputs(embeddings), criterion)
    return named


class Recorded(nn.Module):
    """A loss that only keeps its arguments."""

    def forward(self, *given: Tensor, **references: Tensor) -> Tensor:
        self.given, self.references = given, references
        return given[0].sum()


@pytest.mark.parametrize("views", [2, 3])
def test_a_label_is_the_position_of_the_image_in_the_batch(views: int) -> None:
    embeddings, criterion = embedded(5, views), Recorded()
    method = Augmentations(nn.Identity(), criterion, views)
    assert losses(method, embeddings, criterion).keys() == {"loss"}
    assert criterion.given[0] is embeddings
    assert criterion.given[1].tolist() == [image for image in range(5) for _ in range(views)]


@pytest.mark.parametrize("views", [2, 3])
def test_the_first_views_are_compared_with_the_others(views: int) -> None:
    embeddings, criterion = embedded(4, views), Recorded()
    losses(Augmentations(nn.Identity(), criterion, views, False), embeddings, criterion)
    rows = [(image, view) for image in range(4) for view in range(views)]
    first = [row for row, (_, view) in enumerate(rows) if view == 0]
    others = [row for row, (_, view) in enumerate(rows) if view > 0]
    assert criterion.given[0].equal(embeddings[first])
    assert criterion.given[1].tolist() == [0, 1, 2, 3]
    assert criterion.references["references"].equal(embeddings[others])
    assert criterion.references["reference_labels"].tolist() == [rows[row][0] for row in others]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (NTXent(temperature=0.1), pml.NTXentLoss(temperature=0.1)),
        (MultiSimilarity(alpha=2, beta=50, base=0.5), pml.MultiSimilarityLoss(2, 50, 0.5)),
    ],
    ids=["ntxent", "multisimilarity"],
)
def test_two_views_as_in_pytorch_metric_learning(
    ours: nn.Module, theirs: nn.Module, symmetric: bool
) -> None:
    embeddings = embedded(6, 2)
    (value,) = losses(Augmentations(ours, ours, 2, symmetric), embeddings, ours).values()
    wrapped = pml.SelfSupervisedLoss(theirs, symmetric=symmetric)
    expected = wrapped(embeddings[::2], embeddings[1::2])
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)


def test_vicreg_of_two_views_as_in_pytorch_metric_learning() -> None:
    embeddings, ours = embedded(8, 2), VICReg(variance=12.5)
    (value,) = losses(Augmentations(ours, ours, symmetric=False), embeddings, ours).values()
    expected = pml.VICRegLoss()(embeddings[::2], ref_emb=embeddings[1::2])
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)


def learner(criterion: nn.Module, views: int) -> Learner:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    return set_up(
        Fabric(accelerator="cpu", devices=1),
        model,
        criterion,
        lambda groups: torch.optim.Adam(groups, lr=0.1),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        head_lr=None,
        max_grad_norm=None,
        method=Augmentations(model, criterion, views),
    )


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("loss", [NTXent, VICReg, TripletMargin, Contrastive])
def test_shuffled_labels_give_the_same_bits(loss: type[nn.Module], views: int) -> None:
    images = torch.rand(4 * views, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    ends = []
    for labels in (torch.arange(4).repeat_interleave(views), torch.full((4 * views,), 3)):
        one = learner(loss(), views)
        steps = [one.step((images, labels)) for _ in range(3)]
        assert all(step.measured["train/grad_norm"] > 0 for step in steps)
        ends.append(one.model.state_dict())
    assert_same(*ends)


def test_the_default_sampler_knows_no_classes() -> None:
    """Also with a dataset that names a sampler; the command line beats both."""
    for given in ([], ["dataset=digits"], ["dataset=omniglot_small"]):
        config = composed("method=augmentations", *given)
        assert config.sampler._target_ == "datasampler.random.Random"
    config = composed("method=augmentations", "dataset=digits", "sampler=few_classes")
    assert config.sampler._target_ == "datasampler.class_random.ClassRandom"


class StoppedError(Exception):
    """The machine stops in the middle of an epoch."""


def test_an_interrupted_run_goes_on_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its number of views; 20 images a batch, 3 views each."""
    three = (*RUN, "method.num_views=3")
    whole = command(tmp_path / "whole", *three)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", stopping_at(3))
        with pytest.raises(SystemExit, match="StoppedError"):
            command(tmp_path / "halves", *three)
    assert state(only(tmp_path / "halves"))["position"] == 2
    halves = command(tmp_path / "halves", *three)
    assert_same(state(whole)["parts"], state(halves)["parts"])


def stopping_at(last: int) -> object:
    """Learner.step, which fails at a step."""
    step, taken = Learner.step, []

    def stopped(self: Learner, *batch: object) -> object:
        taken.append(1)
        if len(taken) == last:
            raise StoppedError
        result = step(self, *batch)  # type: ignore[arg-type]
        assert result.num_images == 60
        return result

    return stopped


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("loss=margin", "the loss Margin has parameters of each class, and there are no classes"),
        ("loss=proxynca", "the loss ProxyNCA has parameters of each class"),
        ("loss=weighted_sum", "choose a loss over pairs or triplets without num_classes, such as"),
        ("loss=cross_batch_memory", "the loss CrossBatchMemory remembers labels"),
        ("loss=vicreg method.num_views=1", "method.num_views=1: must be a whole number >= 2"),
        ("loss=vicreg method.symmetric=1", "method.symmetric=1: must be true or false"),
    ],
)
def test_what_cannot_learn_without_labels_says_so(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as raised:
        command(tmp_path, "method=augmentations", *line.split())
    said = str(raised.value)
    assert said.startswith("error: ")
    assert message in said
    assert "\n" not in said


def test_a_margin_loss_of_one_boundary_needs_no_classes(tmp_path: Path) -> None:
    command(tmp_path, "method=augmentations", "loss=margin", "loss.num_classes=null")


def test_a_loss_without_references_and_a_single_view_are_refused() -> None:
    class Pull(nn.Module):
        def forward(self, embeddings: Tensor, _labels: Tensor) -> Tensor:
            return embeddings.sum()

    with pytest.raises(ValueError, match=r"symmetric=false: the loss .*Pull takes no references"):
        Augmentations(Pull(), Pull(), symmetric=False).check(None, Pull())
    Augmentations(Pull(), Pull()).check(None, Pull())
    with pytest.raises(ValueError, match="num_views must be at least 2, got 1"):
        Augmentations(Pull(), None, num_views=1)
