"""Every method of conf/method trains the backbone, resumes to the same bits, and counts as one.

A new YAML is tested by itself; what its run needs besides is listed in NEEDED.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path

import pytest
import torch
from hydra.utils import get_object, instantiate
from lightning_fabric import Fabric, seed_everything
from torch import Tensor

from datasets.csv import write_csv
from datasets.digits import digits
from engine.build import build_method, shutdown
from engine.learner import Learner, set_up
from scripts.evaluate import main as evaluate
from tests.commands import command
from tests.configured import choices, composed
from tests.test_main import assert_same, records, state

METHODS = choices("method")
LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 1])  # as triplets, or as pairs, too
STEPS = 3

State = dict[str, Tensor]


def streams(folder: Path) -> Sequence[str]:
    """Digits whose even rows are queries and whose odd rows are in the gallery."""
    rows = digits()
    rows["is_query"], rows["is_gallery"] = rows.index % 2 == 0, rows.index % 2 == 1
    write_csv(rows, folder / "streams.csv")
    few = ("backbone=convnet", "transform=small", "optimizer=adam_scratch", "trainer=short")
    return (
        *few,
        f"dataset.path={folder / 'streams.csv'}",
        "sampler.batch_size=20",
        "sampler.pairs_per_class=2",
    )


def no_overrides(_folder: Path) -> Sequence[str]:
    return ()


NEEDED: dict[str, Callable[[Path], Sequence[str]]] = {  # overrides of a run
    "fixed_triplets": lambda _: ("sampler.batch_size=24", "sampler.num_triplets=100"),
    "two_stream": lambda folder: ("dataset=csv", *streams(folder)),
}
VARIANTS = {  # networks that a method has with other settings than its own
    "cascaded_at_layers": (
        "method=cascaded",
        "method.layers=['2','4']",
        "loss=arcface",
        "loss.embedding_dim=3",
        "backbone.embedding_dim=9",
    )
}
every_method = pytest.mark.parametrize("choice", METHODS)
every_training = pytest.mark.parametrize("choice", [*METHODS, *VARIANTS])


def learner(choice: str, fabric: Fabric, chunk_size: int | None = None) -> Learner:
    """Backbone, loss and method as their YAML files build them; BatchNorm is frozen."""
    small = ("backbone=convnet", "backbone.batchnorm=frozen", "backbone.width=4")
    overrides = VARIANTS.get(choice, (f"method={choice}", "loss=triplet"))
    config = composed("batchminer=none", *small, *overrides)
    seed_everything(0, verbose=False)
    backbone, criterion = instantiate(config.backbone), instantiate(config.loss)
    method = build_method(config, backbone, criterion)
    return set_up(
        fabric,
        method.embedder(backbone),
        criterion,
        lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        head_lr=None,
        max_grad_norm=None,
        chunk_size=chunk_size,
        method=method,
    )


def batches(num_views: int, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """The part of a process of some batches of images and labels; views follow each other."""
    labels = LABELS.repeat_interleave(num_views)
    size = len(labels) // world_size
    part = slice(rank * size, (rank + 1) * size)
    for step in range(STEPS):
        draw = torch.Generator().manual_seed(step)
        shape = (len(labels), 3, 28, 28)
        images = torch.randint(256, shape, dtype=torch.uint8, generator=draw)
        yield images[part], labels[part]


def trained(choice: str, fabric: Fabric, chunk_size: int | None = None) -> State:
    """Parameters of backbone and method after some steps, and their losses and gradient norms."""
    built = learner(choice, fabric, chunk_size)
    built.train_mode()
    given = batches(built.method.num_views, fabric.global_rank, fabric.world_size)
    taken = [built.step(batch) for batch in given]
    measured = {
        name: torch.stack([step.measured[name] for step in taken]) for name in taken[0].measured
    }
    parts = {"model": built.model, "method": built.method}
    values = {
        f"{part}.{name}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return {name: value.clone() for name, value in chain(values.items(), measured.items())}


@every_method
def test_a_method_says_what_it_does(choice: str) -> None:
    target = composed(f"method={choice}").method._target_
    assert target.startswith("methods.")
    assert get_object(target).__doc__.strip().splitlines()[0].endswith(".")


@every_training
def test_its_losses_are_finite_and_their_gradients_reach_the_backbone(choice: str) -> None:
    built = learner(choice, on_cpu(1))
    built.train_mode()
    for images, labels in batches(built.method.num_views):
        before = [parameter.detach().clone() for parameter in built.model.parameters()]
        step = built.step((images, labels))
        assert all(value.isfinite() for value in step.measured.values()), step.measured
        names = [name for name in step.measured if name.startswith("train/loss/")]
        if names:
            total = sum(step.measured[name] for name in names)
            torch.testing.assert_close(step.measured["train/loss"], total)
        after = built.model.parameters()
        assert any(not b.equal(a) for b, a in zip(before, after, strict=True))
    assert all(parameter.grad is not None for parameter in built.method.parameters())


def train_all(fabric: Fabric, path: Path) -> None:
    """Leave the state that each process has reached with each method in a file."""
    gathered = {
        choice: fabric.all_gather(trained(choice, fabric)) for choice in [*METHODS, *VARIANTS]
    }
    if fabric.is_global_zero:
        torch.save(gathered, path)
    shutdown(fabric)


def on_cpu(devices: int, strategy: str = "auto") -> Fabric:
    return Fabric(accelerator="cpu", devices=devices, strategy=strategy)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, State]:
    """Of each method, the states of two processes on top of each other."""
    path = tmp_path_factory.mktemp("two") / "states.pt"
    on_cpu(2, strategy="ddp_spawn").launch(train_all, path)
    states: dict[str, State] = torch.load(path, weights_only=True)
    return states


@every_training
def test_two_processes_have_the_parameters_of_one(choice: str, two: dict[str, State]) -> None:
    expected = trained(choice, on_cpu(1))
    assert two[choice].keys() == expected.keys()
    for name, values in two[choice].items():
        for value in values:
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)


@every_training
def test_chunks_take_the_steps_of_the_whole_batch(choice: str) -> None:
    """A method that uses more than embeddings is refused, see `engine.build.check_method`."""
    if not learner(choice, on_cpu(1)).method.details:
        whole, chunked = trained(choice, on_cpu(1)), trained(choice, on_cpu(1), chunk_size=5)
        torch.testing.assert_close(chunked, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.extended
@every_method
def test_a_resumed_run_has_the_same_bits_and_its_checkpoint_the_same_numbers(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four steps; the last one fails once, after a checkpoint, and the same command goes on."""
    overrides = (f"method={choice}", "loss=triplet", *NEEDED.get(choice, no_overrides)(tmp_path))
    whole = command(tmp_path / "whole", *overrides)
    with monkeypatch.context() as patched:
        patched.setattr(Learner, "step", failing_at(4))
        with pytest.raises(SystemExit, match="the power is off"):
            command(tmp_path / "resumed", *overrides)
    resumed = command(tmp_path / "resumed", *overrides)
    assert_same(state(whole), state(resumed))
    assert records(whole) == records(resumed)

    capsys.readouterr()
    evaluate([f"run={whole}", "draw=false"])
    written = Path(capsys.readouterr().out.splitlines()[-1])
    measured = json.loads(written.read_text())["metrics"]
    last = records(whole)[-1]
    assert measured == {name: value for name, value in last.items() if name.startswith("test/")}


def failing_at(number: int) -> Callable[..., object]:
    """A step of the learner that raises an error at one of its calls."""
    step, calls = Learner.step, count(1)

    def take(self: Learner, *arguments: object) -> object:
        if next(calls) == number:
            raise RuntimeError("the power is off")
        return step(self, *arguments)

    return take
