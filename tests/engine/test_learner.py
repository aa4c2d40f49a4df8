"""What does not go together is said before the first step."""

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn

from architectures.timm import timm_model
from criteria.contrastive import Contrastive
from engine.learner import Learner, set_up, synchronize_batchnorm


def learner(fabric: Fabric, chunk_size: int | None = None, fused: bool | None = None) -> Learner:
    return set_up(
        fabric,
        nn.Linear(3, 2),
        Contrastive(),
        lambda groups: torch.optim.Adam(groups, lr=0.1, fused=fused),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        head_lr=None,
        max_grad_norm=None,
        chunk_size=chunk_size,
    )


@pytest.fixture
def half() -> Fabric:
    """As trainer.precision=16-mixed makes it on a GPU."""
    precision = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    return Fabric(accelerator="cpu", devices=1, plugins=[precision])


def test_float16_misses_its_scaling_in_chunks(half: Fabric) -> None:
    with pytest.raises(ValueError, match=r"trainer\.chunk_size needs .*bf16-mixed"):
        learner(half, chunk_size=2)


def test_a_fused_optimizer_hides_the_scaling_of_float16(half: Fabric) -> None:
    with pytest.raises(ValueError, match=r"optimizer\.fused needs .*bf16-mixed"):
        learner(half, fused=True)
    learner(half)


def test_a_fused_optimizer_takes_the_same_steps() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    ends = []
    for fused in (None, True):
        torch.manual_seed(0)
        one = learner(fabric, fused=fused)
        batch = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
        one.step(batch)
        one.step(batch)
        ends.append(one.model.weight.detach().clone())
    torch.testing.assert_close(*ends)


@pytest.mark.parametrize("head", ["linear", "bnneck"])
def test_synchronized_batchnorm_keeps_the_activations_of_timm(head: str) -> None:
    model = timm_model("test_efficientnet", pretrained=False, batchnorm="trained", head=head)
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    expected = model.eval()(images)
    synchronized = synchronize_batchnorm(model, torch.device("cuda"))
    assert any(isinstance(module, nn.SyncBatchNorm) for module in synchronized.modules())
    assert torch.equal(synchronized.eval()(images), expected)
