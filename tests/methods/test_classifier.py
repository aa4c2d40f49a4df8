"""WithClassifier: a metric loss and a classification loss, each with its weight."""

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.trainers import TrainWithClassifier
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from core.distance import Lp
from core.reducer import NonZeroMean
from core.types import Outputs
from criteria.triplet import TripletMargin
from methods.classifier import WithClassifier
from methods.method import Batch, Losses

CLASSES, SIZE = 4, 6
LABELS = torch.arange(CLASSES).repeat(3)


def images() -> Tensor:
    return torch.randn(len(LABELS), 5, generator=torch.Generator().manual_seed(0))


def method(**settings: object) -> WithClassifier:
    torch.manual_seed(1)
    return WithClassifier(nn.Identity(), None, CLASSES, SIZE, **settings)


def losses(built: WithClassifier, backbone: nn.Module, criterion: nn.Module) -> Losses:
    batch = Batch(images(), LABELS, 0)
    return built(batch, lambda given: Outputs(backbone(given)), criterion)


def test_each_loss_is_that_of_plain_torch_times_its_weight() -> None:
    backbone, criterion = nn.Linear(5, SIZE), TripletMargin()
    built = method(hidden=[7], weights={"metric": 0.5, "classifier": 3})
    first, _, last = built.classifier
    embeddings = backbone(images())
    hidden = (embeddings @ first.weight.T + first.bias).clamp(min=0)
    probabilities = (hidden @ last.weight.T + last.bias).softmax(dim=1)
    expected = -sum(probabilities[i, c].log() for i, c in enumerate(LABELS)) / len(LABELS)
    got = losses(built, backbone, criterion)
    assert list(got) == ["metric", "classifier"]
    torch.testing.assert_close(got["metric"], 0.5 * criterion(embeddings, LABELS))
    torch.testing.assert_close(got["classifier"], 3 * expected)


def test_both_losses_reach_the_backbone() -> None:
    backbone = nn.Linear(5, SIZE)
    for loss in losses(method(), backbone, TripletMargin()).values():
        (gradient,) = torch.autograd.grad(loss, backbone.weight, retain_graph=True)
        assert gradient.abs().max() > 0


def test_another_classification_loss_takes_logits_and_labels() -> None:
    backbone = nn.Linear(5, SIZE)
    smooth = method(classifier_loss=nn.CrossEntropyLoss(label_smoothing=0.3))
    logs = smooth.classifier(backbone(images())).log_softmax(dim=1)
    own = logs[torch.arange(len(LABELS)), LABELS]
    expected = -(0.7 * own + 0.3 * logs.mean(dim=1)).mean()
    torch.testing.assert_close(losses(smooth, backbone, TripletMargin())["classifier"], expected)
    margin = losses(method(classifier_loss=nn.MultiMarginLoss()), backbone, TripletMargin())
    logits = method().classifier(backbone(images()))
    torch.testing.assert_close(margin["classifier"], F.multi_margin_loss(logits, LABELS))


@pytest.mark.parametrize(("off", "left"), [("classifier", "metric"), ("metric", "classifier")])
def test_a_loss_of_weight_zero_is_not_computed(
    off: str, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, criterion = method(weights={off: 0}), TripletMargin()
    skipped = built.classifier if off == "classifier" else criterion
    monkeypatch.setattr(skipped, "forward", None)
    assert list(losses(built, nn.Linear(5, SIZE), criterion)) == [left]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"metric": 0, "classifier": 0}, "^weights must not be negative, and one positive"),
        ({"metric": -1}, "^weights must not be negative"),
        ({"triplet": 1}, "^weights must name metric or classifier, got .'triplet'.$"),
    ],
)
def test_impossible_weights_are_an_error(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(weights=weights)


def test_the_classifier_has_its_own_learning_rate() -> None:
    (group,) = method(lr=0.5, weight_decay=0.25).parameter_groups()
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)
    (group,) = method().parameter_groups()
    assert set(group) == {"params"}, "the numbers of the optimizer"
    assert [tuple(p.shape) for p in group["params"]] == [(CLASSES, SIZE), (CLASSES,)]


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True")  # of its trainer
def test_a_step_is_that_of_pytorch_metric_learning() -> None:
    """One step of SGD of TrainWithClassifier, from the same weights on the same batch."""
    backbone, built = nn.Linear(5, SIZE), method(weights={"metric": 2, "classifier": 0.5})
    criterion = TripletMargin(margin=0.05, distance=Lp(), reducer=NonZeroMean())
    models = {"trunk": nn.Linear(5, SIZE), "classifier": nn.Linear(SIZE, CLASSES)}
    models["trunk"].load_state_dict(backbone.state_dict())
    models["classifier"].load_state_dict(built.classifier[0].state_dict())
    TrainWithClassifier(
        models=models,
        optimizers={
            f"{name}_optimizer": torch.optim.SGD(model.parameters(), lr=0.1)
            for name, model in models.items()
        },
        batch_size=len(LABELS),
        loss_funcs={"metric_loss": TripletMarginLoss(), "classifier_loss": nn.CrossEntropyLoss()},
        loss_weights={"metric_loss": 2, "classifier_loss": 0.5},
        dataset=TensorDataset(images(), LABELS),
        dataloader_num_workers=0,
        data_device=torch.device("cpu"),
    ).train(num_epochs=1)
    optimizer = torch.optim.SGD([*backbone.parameters(), *built.parameters()], lr=0.1)
    sum(losses(built, backbone, criterion).values()).backward()
    optimizer.step()
    torch.testing.assert_close(backbone.state_dict(), models["trunk"].state_dict())
    torch.testing.assert_close(built.classifier[0].state_dict(), models["classifier"].state_dict())
