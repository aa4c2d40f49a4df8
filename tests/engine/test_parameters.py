"""Every trainable parameter learns at exactly one rate."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from architectures.convnet import convnet
from architectures.resnet50 import resnet50
from architectures.timm import timm_model
from core.parameter_groups import Groups
from engine.parameter_groups import apply_lr_scale, parameter_groups


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Linear(3, 2), nn.Linear(2, 2)


class Proxies(nn.Module):
    def __init__(self, listed: int) -> None:
        super().__init__()
        self.proxies = nn.Linear(2, 2, bias=False)
        self.listed = listed

    def parameter_groups(self) -> Groups:
        group = {"params": list(self.proxies.parameters()), "lr": 0.5, "weight_decay": 0.0}
        return [group] * self.listed


def test_head_and_criterion_have_their_own_rates() -> None:
    groups = parameter_groups(Model(), Proxies(listed=1), head_lr=0.25)
    assert [group["name"] for group in groups] == ["backbone", "head", "criterion"]
    assert [group.get("lr") for group in groups] == [None, 0.25, 0.5]
    assert groups[2]["weight_decay"] == 0


def test_frozen_parameters_are_in_no_group() -> None:
    model = Model()
    model.trunk.requires_grad_(False)
    groups = parameter_groups(model, nn.Identity(), head_lr=None)
    assert [group["name"] for group in groups] == ["head"]


@pytest.mark.parametrize("listed", [0, 2])
def test_refuses_a_parameter_in_no_group_or_in_two(listed: int) -> None:
    with pytest.raises(ValueError, match=rf"criterion\.proxies\.weight is in {listed}"):
        parameter_groups(Model(), Proxies(listed), head_lr=None)


def test_refuses_a_model_and_a_loss_without_parameters() -> None:
    with pytest.raises(ValueError, match=r"^nothing to train: backbone, loss and method"):
        parameter_groups(nn.Identity(), nn.Identity(), head_lr=None)


def rates(network: nn.Module, decay: float, head_lr: float | None = None) -> dict[str, float]:
    """The learning rate of every parameter of a network under an optimizer of rate 1."""
    groups = parameter_groups(network, nn.Identity(), head_lr, layer_lr_decay=decay)
    optimizer = torch.optim.SGD(groups, lr=1.0)
    apply_lr_scale(optimizer)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}


def test_each_block_of_the_convnet_learns_at_three_quarters_of_the_rate_of_the_next() -> None:
    found = rates(convnet(width=2), 0.75)
    by_hand = {"0": 0.31640625, "2": 0.421875, "4": 0.5625, "6": 0.75}
    for name, rate in found.items():
        expected = by_hand[name.split(".")[1]] if name.startswith("trunk.") else 1.0
        assert rate == pytest.approx(expected), name
    assert len(found) == 14


def test_the_rates_of_resnet50_are_those_of_its_residual_blocks() -> None:
    network = resnet50(pretrained=False, batchnorm="trained", pooling="gem")
    depth = {"conv1": 0, "bn1": 0, "layer1": 1, "layer2": 4, "layer3": 8, "layer4": 14}
    for name, rate in rates(network, 0.5, head_lr=7.0).items():
        part, *rest = name.split(".")
        if part == "trunk":
            block = int(rest[1]) if rest[0].startswith("layer") else 0
            assert rate == pytest.approx(0.5 ** (17 - depth[rest[0]] - block)), name
        else:
            assert rate == (7.0 if part == "head" else 1.0), name  # else the exponent of gem


@pytest.mark.parametrize("model_name", ["vit_tiny_patch16_224", "resnet18", "convnext_atto"])
def test_the_rates_of_a_network_of_timm_are_those_that_timm_gives_with_a_classifier(
    model_name: str,
) -> None:
    whole = timm.create_model(model_name, num_classes=5)
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    expected = {
        names[id(parameter)]: group["lr_scale"]
        for group in param_groups_layer_decay(whole, layer_decay=0.75)
        for parameter in group["params"]
    }
    network = timm_model(model_name, pretrained=False, batchnorm="trained")
    found = rates(network, 0.75)
    of_trunk = {n.removeprefix("trunk.0."): r for n, r in found.items() if "head." not in n}
    assert len(of_trunk) > 20
    for name, rate in of_trunk.items():
        assert rate == pytest.approx(expected[name]), name


def test_a_vision_transformer_by_hand() -> None:
    found = rates(timm_model("vit_tiny_patch16_224", pretrained=False), 0.75)
    assert found["trunk.0.cls_token"] == pytest.approx(0.75**13)
    assert found["trunk.0.patch_embed.proj.weight"] == pytest.approx(0.75**13)
    assert found["trunk.0.blocks.0.attn.qkv.weight"] == pytest.approx(0.75**12)
    assert found["trunk.0.blocks.11.mlp.fc2.bias"] == pytest.approx(0.75)
    assert found["head.weight"] == 1.0


def test_a_backbone_without_a_trunk_has_its_layers_and_its_head() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = (nn.Linear(2, 2) for _ in range(3))

    found = rates(Plain(), 0.5)
    assert {name.split(".")[0]: rate for name, rate in found.items()} == {
        "first": 0.25,
        "second": 0.5,
        "head": 1.0,
    }
