"""Two processes take the steps of one in every phase, and where they share views of an image."""

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from architectures.embedder import Embedder
from criteria.ntxent import NTXent
from criteria.triplet import TripletMargin
from criteria.vicreg import VICReg
from engine.build import shutdown
from engine.learner import set_up
from methods.adversarial import Adversarial
from methods.augmentations import Augmentations
from methods.method import Method

EPOCHS = (0, 1, 2, 3)  # the metric alone, the generator alone, both
LABELS = torch.tensor(
    [0, 0, 1, 1, 0, 1]
)  # each process has 3: with 2 views, image 1 has one in each

State = dict[str, Tensor]


class Centred(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images / 128 - 1


def methods(model: Embedder) -> dict[str, tuple[Method, nn.Module]]:
    triplet, ntxent, vicreg = TripletMargin(margin=1.0), NTXent(), VICReg()
    return {
        "adversarial": (Adversarial(model, triplet, 1, 1, 5, margin=0.5, lr=0.1), triplet),
        "augmentations": (Augmentations(model, ntxent), ntxent),
        "first against others": (Augmentations(model, vicreg, symmetric=False), vicreg),
    }


NAMES = ("adversarial", "augmentations", "first against others")


def trained(fabric: Fabric, name: str) -> State:
    """Parameters and losses of this process after one step of each epoch."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Tanh())
    model = Embedder(
        *(trunk, 6, Centred()), embedding_dim=4, pooling="avg", normalize=True, batchnorm="trained"
    )
    method, criterion = methods(model)[name]
    learner = set_up(
        fabric,
        model,
        criterion,
        lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        head_lr=None,
        max_grad_norm=None,
        method=method,
    )
    learner.train_mode()
    size = len(LABELS) // fabric.world_size
    part = slice(fabric.global_rank * size, (fabric.global_rank + 1) * size)
    norms = []
    for epoch in EPOCHS:
        draw = torch.Generator().manual_seed(epoch)
        images = torch.randint(256, (6, 3, 4, 4), dtype=torch.uint8, generator=draw)
        measured = learner.step((images[part], LABELS[part]), epoch).measured
        assert measured["train/grad_norm"] > 0
        norms += list(measured.values())
    states = {**learner.model.state_dict(), **learner.method.state_dict()}
    state = {key: value.clone() for key, value in states.items() if value.is_floating_point()}
    return {**state, "measured": torch.stack(norms)}


def train_all(fabric: Fabric, path: Path) -> None:
    gathered = {name: fabric.all_gather(trained(fabric, name)) for name in NAMES}
    if fabric.is_global_zero:
        torch.save(gathered, path)
    shutdown(fabric)


def on_cpu(devices: int, strategy: str = "auto") -> Fabric:
    return Fabric(accelerator="cpu", devices=devices, strategy=strategy)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, State]:
    path = tmp_path_factory.mktemp("two") / "states.pt"
    on_cpu(2, strategy="ddp_spawn").launch(train_all, path)
    states: dict[str, State] = torch.load(path, weights_only=True)
    return states


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_have_the_parameters_of_one(name: str, two: dict[str, State]) -> None:
    expected = trained(on_cpu(1), name)
    assert two[name].keys() == expected.keys()
    for key, values in two[name].items():
        for value in values:
            torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-5, msg=key)
