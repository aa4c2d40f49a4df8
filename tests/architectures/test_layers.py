"""Layers of a trunk in their order, compared with the names of parameters and with timm."""

import re

import pytest
from torch import nn

from architectures.bninception import bninception
from architectures.convnet import convnet
from architectures.embedder import Embedder
from architectures.googlenet import googlenet
from architectures.layers import trunk_layers
from architectures.resnet50 import resnet50
from architectures.timm import TimmPooling, timm_model


def names_of_layers(network: Embedder) -> list[list[str]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    layers = trunk_layers(network.trunk)
    in_layers = [names[id(parameter)] for layer in layers for parameter in layer]
    assert len(in_layers) == len(set(in_layers))
    missing = {n for n in names.values() if n.startswith("trunk.")} - set(in_layers)
    assert all("fc_norm" in name for name in missing), "which timm counts as its head"
    return [[names[id(parameter)] for parameter in layer] for layer in layers]


def test_the_layers_of_the_convnet_are_its_four_blocks() -> None:
    layers = names_of_layers(convnet(width=2))
    assert [{name.split(".")[1] for name in layer} for layer in layers] == [
        *({"0"}, {"2"}, {"4"}, {"6"})
    ]


def test_the_layers_of_resnet50_are_its_stem_and_its_residual_blocks() -> None:
    stem, *blocks = names_of_layers(resnet50(pretrained=False))
    assert {name.split(".")[1] for name in stem} == {"conv1", "bn1"}
    expected = [f"trunk.layer{s}.{b}." for s, n in enumerate((3, 4, 6, 3), 1) for b in range(n)]
    assert len(blocks) == 16
    for layer, start in zip(blocks, expected, strict=True):
        assert all(name.startswith(start) for name in layer)


def test_the_layers_of_googlenet_are_its_convolutions_and_inception_modules() -> None:
    layers = names_of_layers(googlenet(pretrained=False))
    modules = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    expected = ["conv1", "conv2", "conv3", *(f"inception{module}" for module in modules)]
    assert [{name.split(".")[1] for name in layer} for layer in layers] == [{n} for n in expected]


def test_the_layers_of_bninception_are_its_convolutions_and_inception_modules() -> None:
    layers = names_of_layers(bninception(pretrained=False))
    modules = ["3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    expected = ["conv1", "conv2", *(f"inception_{module}" for module in modules)]
    pattern = re.compile(r"trunk\.network\.(conv\d|inception_\d\w)_")
    found = [{pattern.match(name)[1] for name in layer} for layer in layers]  # type: ignore[index]
    assert found == [{name} for name in expected]


@pytest.mark.parametrize("pooling", [None, "avg"])
def test_the_layers_of_a_transformer_are_its_embedding_and_its_blocks(
    pooling: TimmPooling | None,
) -> None:
    network = timm_model("vit_tiny_patch16_224", pooling=pooling, pretrained=False)
    layers = names_of_layers(network)
    assert any("patch_embed" in name for name in layers[0])
    assert any("pos_embed" in name for name in layers[0])
    assert len(layers) == 1 + 12
    for number, layer in enumerate(layers[1:]):
        blocks = {match[1] for name in layer if (match := re.search(r"blocks\.(\d+)\.", name))}
        assert blocks == {str(number)}
    assert any(".norm." in name for name in layers[-1]) == (pooling is None)


def test_feature_maps_of_timm_have_the_layers_of_their_network() -> None:
    pooled = names_of_layers(timm_model("test_resnet", pooling="avg", pretrained=False))
    maps = names_of_layers(timm_model("test_resnet", pooling="gem", pretrained=False))
    assert list(map(len, pooled)) == list(map(len, maps))


def test_parameters_of_the_network_itself_belong_to_the_first_layer() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
            self.token = nn.Parameter(self.first.weight[0].detach().clone())

    network = Tokens()
    first, second = trunk_layers(network)
    assert [id(p) for p in first] == [id(p) for p in (network.token, *network.first.parameters())]
    assert [id(p) for p in second] == [id(p) for p in network.second.parameters()]


def test_a_single_layer_is_one() -> None:
    layer = nn.Linear(2, 2)
    assert [len(found) for found in trunk_layers(nn.Sequential(layer, nn.ReLU()))] == [2]
