"""Several processes take the same steps as one; so do chunks of a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric, seed_everything
from torch import Tensor, nn

from engine.build import shutdown
from engine.data.loader import SeededBatches
from engine.learner import set_up
from tests.configured import build_loss

LABELS = torch.tensor([0] * 6 + [1] * 2 + [2] * 2 + [3] * 2)  # one process has nothing to mine
ALIKE = torch.zeros(12, dtype=torch.long)  # nor has any
STEPS = (LABELS, ALIKE, LABELS)
LOSSES = {  # one of every family, and every kind of state; loss: (batchminer, numbers)
    "contrastive": ("none", {}),
    "triplet": ("semihard", {}),
    "margin": ("distance", {}),
    "multisimilarity": ("multisimilarity", {}),
    "npair": ("none", {}),
    "smoothap": ("none", {}),
    "proxynca": ("none", {}),
    "arcface": ("none", {}),
    "softtriple": ("none", {}),
    "adacos": ("none", {}),
    "deepncm": ("none", {}),
    "partial_fc": ("none", {"share": 0.5, "objective": {"num_classes": 40}}),
    "cross_batch_memory": ("none", {"warmup": 0, "size": 20}),
    "weighted_sum": ("none", {}),
}

State = dict[str, Tensor]


def backbone() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 8))


def batches(rank: int, world_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = len(LABELS) // world_size
    part = slice(rank * size, (rank + 1) * size)
    for step, labels in enumerate(STEPS):
        draw = torch.Generator().manual_seed(step)
        images = torch.randn(len(labels), 5, dtype=torch.float64, generator=draw)
        yield images[part], labels[part]


@contextmanager
def double_precision() -> Iterator[None]:
    """Fabric hands over what a double precision model returns in the default type."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@double_precision()
def trained(fabric: Fabric, loss: str, chunk_size: int | None = None) -> State:
    """Parameters and buffers after some steps of this process; the gradient norms beside them."""
    seed_everything(0, verbose=False)
    miner, numbers = LOSSES[loss]
    learner = set_up(
        fabric,
        backbone().double(),
        build_loss(loss, miner, **numbers).double(),
        lambda groups: torch.optim.Adam(groups, lr=0.01),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        head_lr=None,
        max_grad_norm=1.0,
        chunk_size=chunk_size,
    )
    learner.train_mode()
    taken = [learner.step(batch) for batch in batches(fabric.global_rank, fabric.world_size)]
    assert all(step.num_images == len(LABELS) for step in taken)
    state = {f"model.{name}": value for name, value in learner.model.state_dict().items()}
    criterion = learner.criterion.state_dict()
    state |= {f"criterion.{k}": v for k, v in criterion.items() if isinstance(v, Tensor)}
    norms = torch.stack([step.measured["train/grad_norm"] for step in taken])
    return {name: value.double().clone() for name, value in state.items()} | {"norms": norms}


def train_all(fabric: Fabric, path: Path) -> None:
    """Leave the state that each process has reached with each loss in a file."""
    gathered = {loss: fabric.all_gather(trained(fabric, loss)) for loss in LOSSES}
    if fabric.is_global_zero:
        torch.save(gathered, path)
    shutdown(fabric)


def on_cpu(devices: int, strategy: str = "auto") -> Fabric:
    return Fabric(accelerator="cpu", devices=devices, strategy=strategy, precision="64-true")


@pytest.fixture(scope="module", params=[2, 3])
def several(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, State]:
    """Of each loss, the states of all processes on top of each other."""
    path = tmp_path_factory.mktemp("several") / "states.pt"
    on_cpu(request.param, strategy="ddp_spawn").launch(train_all, path)
    states: dict[str, State] = torch.load(path, weights_only=True)
    return states


@pytest.fixture(scope="module")
def one() -> Fabric:
    return on_cpu(1)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_process_has_the_parameters_of_one_with_the_whole_batch(
    loss: str, several: dict[str, State], one: Fabric
) -> None:
    expected = trained(one, loss)
    assert several[loss].keys() == expected.keys()
    for name, values in several[loss].items():
        for value in values:
            torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "chunk_size"), [*((loss, 5) for loss in LOSSES), ("triplet", 1), ("triplet", 100)]
)
def test_chunks_take_the_step_of_the_whole_batch(loss: str, chunk_size: int, one: Fabric) -> None:
    torch.testing.assert_close(
        trained(one, loss, chunk_size), trained(one, loss), rtol=0, atol=1e-9
    )


def test_a_chunk_meets_the_same_dropout_twice(one: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        f"{__name__}.backbone", lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5))
    )
    once = trained(one, "contrastive", chunk_size=len(LABELS))
    torch.testing.assert_close(once, trained(one, "contrastive"), rtol=0, atol=1e-9)


def test_the_parts_of_a_batch_are_the_batch() -> None:
    class Two:
        def __len__(self) -> int:
            return 2

        def set_epoch(self, epoch: int) -> None: ...

        def __iter__(self) -> Iterator[list[int]]:
            return iter([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])

    whole = list(SeededBatches(Two(), seed=0))
    parts = [list(SeededBatches(Two(), seed=0, rank=r, world_size=3)) for r in range(3)]
    assert [list(chain(*of_one)) for of_one in zip(*parts, strict=True)] == whole
    with pytest.raises(ValueError, match="multiple of the 4 devices, got 6"):
        list(SeededBatches(Two(), seed=0, rank=0, world_size=4))
