"""Frozen BatchNorm: the bits of evaluation, the gradient by hand, and no feature maps stored."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from architectures.frozen_batchnorm import freeze_batchnorm
from architectures.timm import timm_model


def layer(cls: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    norm = cls(5)
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm.eval()


def timm_layer() -> type[nn.BatchNorm2d]:
    from timm.layers import BatchNormAct2d

    return BatchNormAct2d


MAPS = torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("timm", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_maps_and_gradients_of_batchnorm(
    timm: bool, memory_format: torch.memory_format
) -> None:
    norm = layer(timm_layer() if timm else nn.BatchNorm2d)
    frozen = copy.deepcopy(norm)
    freeze_batchnorm(frozen)
    inputs = [MAPS.clone(memory_format=memory_format).requires_grad_() for _ in range(2)]
    outputs = [module(maps) for module, maps in zip((norm, frozen), inputs, strict=True)]
    assert torch.equal(*outputs)
    assert torch.equal(frozen(MAPS), outputs[0])
    gradient = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(gradient)
    native, ours = (maps.grad for maps in inputs)
    assert torch.allclose(native, ours, rtol=1e-6, atol=0)
    scale = frozen.weight / (frozen.running_var + frozen.eps).sqrt()
    passes = outputs[0] > 0 if timm else torch.ones_like(gradient)
    assert torch.allclose(ours, gradient * passes * scale[:, None, None], rtol=1e-5, atol=0)


def test_the_gradient_of_the_gradient() -> None:
    frozen = layer().double()
    freeze_batchnorm(frozen)
    maps = MAPS[:2, :, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(frozen, maps)
    assert torch.autograd.gradgradcheck(frozen, maps)


def test_no_feature_maps_are_stored() -> None:
    frozen = layer()
    freeze_batchnorm(frozen)
    stored: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        stored.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        frozen(MAPS.clone().requires_grad_())
    assert stored == [5]


def test_under_autocast_the_gradient_keeps_its_type() -> None:
    frozen = layer()
    freeze_batchnorm(frozen)
    maps = MAPS.to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        frozen(maps).sum().backward()
    assert maps.grad is not None
    assert maps.grad.dtype == torch.bfloat16


def test_a_frozen_network_is_copied_pickled_and_loaded() -> None:
    model = timm_model("test_efficientnet", pretrained=False)
    trained = timm_model("test_efficientnet", pretrained=False, batchnorm="trained").eval()
    trained.load_state_dict(model.state_dict())
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    for network in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(network.eval()(images), trained(images))
        network.load_state_dict({n: torch.zeros_like(v) for n, v in model.state_dict().items()})
        assert not network(images).any()  # of its own state, not of the state it was copied from
        network.load_state_dict(trained.state_dict())
