import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from architectures.convnet import convnet
from architectures.embedder import Embedder
from architectures.pretrained import WeightsUnavailableError

CONF = Path(__file__).parents[2] / "conf" / "backbone"
NAMES = ["bninception", "convnet", "googlenet", "resnet50", "timm"]
PRETRAINED = ["bninception", "googlenet", "resnet50"]
IMAGES = torch.randint(
    0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def build(name: str, **choices: object) -> Embedder:
    """The backbone of conf/backbone/<name>.yaml with random weights."""
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    module, function = config.pop("_target_").rsplit(".", 1)
    if "pretrained" in config:
        config["pretrained"] = False
    return getattr(importlib.import_module(module), function)(**{**config, **choices})


def package(name: str) -> ModuleType:
    """A package that takes seconds to import, which no worker that runs other tests shall pay."""
    return importlib.import_module(name)


def number_of(parameters: object) -> int:
    return sum(p.numel() for p in parameters)


@pytest.mark.parametrize("name", NAMES)
def test_images_become_embeddings_that_train_the_head(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, embedding_dim=16)
    embeddings = model(IMAGES)
    assert embeddings.shape == (2, 16)
    assert model.embedding_dim == 16
    assert model.features(IMAGES).shape == (2, model.num_features)
    embeddings[:, 0].sum().backward()
    assert isinstance(model.head, nn.Linear)
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_is_deterministic_and_keeps_its_state(name: str) -> None:
    torch.manual_seed(0)
    first = build(name).eval()
    torch.manual_seed(0)
    second = build(name).eval()
    before = {n: v.clone() for n, v in first.state_dict().items()}
    assert torch.equal(first(IMAGES), second(IMAGES))
    assert all(torch.equal(v, before[n]) for n, v in first.state_dict().items())


@pytest.mark.parametrize("name", ["bninception", "googlenet", "resnet50", "timm"])
def test_default_is_frozen_in_every_layer(name: str) -> None:
    layers = [m for m in build(name).modules() if isinstance(m, _BatchNorm)]
    assert len(layers) > 40
    assert not any(layer.training for layer in layers)
    assert not any(p.requires_grad for layer in layers for p in layer.parameters())


@pytest.mark.parametrize(
    ("name", "trunk"),
    [  # published totals less the classifier of 1000 classes
        ("resnet50", 25_557_032 - 2049 * 1000),
        ("googlenet", 6_624_904 - 1025 * 1000),
        ("bninception", 11_295_240 - 1025 * 1000),
    ],
)
def test_size_of_the_trunk(name: str, trunk: int) -> None:
    assert number_of(build(name).trunk.parameters()) == trunk


def reference(name: str) -> nn.Module:
    """The whole network as its package builds it, with random weights."""
    if name == "bninception":
        network: nn.Module = package("pretrainedmodels.models.bninception").BNInception()
        return network
    models = package("torchvision.models")
    if name == "googlenet":
        network = models.GoogLeNet(transform_input=True, init_weights=True)
    else:
        network = models.resnet50(weights=None)
    return network


def unusual(network: nn.Module) -> nn.Module:
    """Running statistics that show when they are not loaded."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.8, 1.2)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
    return network


def pooled(name: str, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the classifier of the whole network sees, from the package's own documented input."""
    unit = images.float() / 255
    if name == "bninception":
        bgr = (255 * unit[:, [2, 1, 0]]) - torch.tensor([104.0, 117.0, 128.0]).view(3, 1, 1)
        return network.features(bgr).mean(dim=(2, 3))
    network.fc = nn.Identity()
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    return network((unit - mean) / std)


def as_published(name: str, network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights in the form of the published file."""
    weights = dict(network.state_dict())
    if name == "bninception":  # before PyTorch 0.4: rows instead of vectors, no counter
        weights = {n: v[None] if "_bn." in n else v for n, v in weights.items() if v.ndim}
    return weights


@pytest.mark.parametrize("name", PRETRAINED)
def test_published_weights_give_the_features_of_the_published_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    network = unusual(reference(name)).eval()
    module = importlib.import_module(f"architectures.{name}")
    monkeypatch.setattr(module, "load_pretrained", lambda _: as_published(name, network))
    features = build(name, pretrained=True).eval().features(IMAGES)
    expected = pooled(name, network, IMAGES)
    assert expected.std() > 0
    assert (features - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_address_of_the_weights_carries_their_digest(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = []
    monkeypatch.setattr(
        importlib.import_module(f"architectures.{name}"),
        "load_pretrained",
        lambda url: addresses.append(url) or as_published(name, reference(name)),
    )
    build(name, pretrained=True)
    digest = {"bninception": "52deb4733", "googlenet": "1378be20", "resnet50": "0676ba61"}[name]
    assert [address.rsplit("-", 1)[1] for address in addresses] == [f"{digest}.pth"]


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_trunk_ends_at_the_last_map(name: str) -> None:
    model = build(name)
    assert model.trunk(model.normalization(IMAGES)).shape == (2, model.num_features, 2, 2)


def test_googlenet_sees_pixels_from_minus_one_to_one() -> None:
    ends = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert build("googlenet").normalization(ends).flatten().tolist() == [-1.0, 1.0] * 3


def test_convnet_takes_any_small_size() -> None:
    model = convnet()
    for size in (28, 32, 64):
        assert model(IMAGES[:, :, :size, :size]).shape == (2, 128)
    blocks = [(3, 32), (32, 64), (64, 128), (128, 128)]
    assert number_of(model.trunk.parameters()) == sum(9 * i * o + 2 * o for i, o in blocks)


def test_timm_is_the_package_and_not_our_module() -> None:
    assert package("architectures.timm").timm is package("timm")
    assert hasattr(package("timm"), "create_model")


@pytest.mark.parametrize("model_name", ["test_vit", "test_resnet", "mobilenetv3_small_050"])
@pytest.mark.parametrize("pooling", [None, "avg", "avg+max"])
def test_timm_pools_as_the_network_does_unless_told(model_name: str, pooling: str | None) -> None:
    images = IMAGES.repeat(1, 1, 3, 3)[:, :, :160, :160]
    torch.manual_seed(0)
    ours = build("timm", model_name=model_name, pooling=pooling, batchnorm="trained").eval()
    torch.manual_seed(0)
    name = {None: {}, "avg": {"global_pool": "avg"}, "avg+max": {"global_pool": "avgmax"}}[pooling]
    theirs = package("timm").create_model(model_name, num_classes=0, **name).eval()
    config = theirs.pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    expected = theirs((images.float() / 255 - mean) / std)
    assert torch.allclose(ours.features(images), expected, rtol=1e-4, atol=1e-5)
    assert ours(images).shape == (2, 128)


@pytest.mark.parametrize("model_name", ["test_resnet", "test_mambaout"])
def test_timm_gem_is_over_the_positions(model_name: str) -> None:
    """Also of networks whose feature maps have their channels last; p = 1 is the mean."""
    images = torch.zeros(1, 3, 160, 160, dtype=torch.uint8)
    images[..., 50:, :90] = 200
    model = build("timm", model_name=model_name, pooling="gem", batchnorm="trained").eval()
    network = model.trunk.network
    with torch.no_grad():
        model.pool.p.fill_(1)
        maps = network.forward_features(model.normalization(images))
    dims = (1, 2) if maps.shape[-1] == model.num_features else (2, 3)
    assert maps.ndim == 4
    torch.testing.assert_close(model.features(images), maps.clamp(min=1e-6).mean(dim=dims))


def test_timm_gem_of_tokens_is_an_error() -> None:
    model = build("timm", model_name="test_vit", pooling="gem")
    with pytest.raises(ValueError, match="this network has tokens"):
        model(torch.zeros(1, 3, 160, 160, dtype=torch.uint8))


def test_an_unknown_timm_name_suggests_others() -> None:
    with pytest.raises(ValueError, match=r"no model resnet5O; similar: .*resnet50"):
        build("timm", model_name="resnet5O")


def test_an_unknown_timm_pooling_is_named() -> None:
    with pytest.raises(ValueError, match=r"pooling must be null, avg, max, .* got sum"):
        build("timm", pooling="sum")


def test_timm_weights_placed_by_hand_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    network = package("timm").create_model("test_resnet")
    save = package("safetensors.torch").save_file
    save(network.state_dict(), folder / "test_resnet.safetensors")
    model = build("timm", model_name="test_resnet", pretrained=True)
    assert torch.equal(model.trunk[0].conv1[0].weight, network.conv1[0].weight)


def test_timm_weights_that_cannot_be_had_are_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    with pytest.raises(WeightsUnavailableError) as caught:
        build("timm", model_name="test_vit", pretrained=True)
    url = "https://huggingface.co/timm/test_vit.r160_in1k/resolve/main/model.safetensors"
    file = tmp_path / "hub" / "checkpoints" / "test_vit.safetensors"
    assert url in str(caught.value)
    assert str(file) in str(caught.value)
