import pytest
import torch
from torch import nn

from architectures.embedder import Embedder
from architectures.input_normalization import InputNormalization, imagenet

IMAGES = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8)


def embedder(**choices: object) -> Embedder:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5))
    options = {"embedding_dim": 5, "pooling": "avg", "normalize": True, "batchnorm": "trained"}
    return Embedder(trunk, 6, imagenet(), **{**options, **choices})


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def train_once(model: nn.Module) -> None:
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1.0, weight_decay=0.1)
    model.train()
    (model(IMAGES)[:, 0] ** 2).sum().backward()
    optimizer.step()


def changed(model: nn.Module) -> set[str]:
    before = state(model)
    train_once(model)
    return {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}


@pytest.mark.parametrize("normalize", [True, False])
def test_embeddings_are_on_the_unit_sphere_only_if_asked(normalize: bool) -> None:
    norms = embedder(normalize=normalize).eval()(IMAGES).norm(dim=1)
    assert torch.allclose(norms, torch.ones(4), atol=1e-6) == normalize


MAPS = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[-4.0, -4.0], [-4.0, 0.0]]])


class Constant(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return MAPS.expand(len(images), 2, 2, 2)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", [3.0, -3.0]),
        ("max", [6.0, 0.0]),
        ("avg+max", [9.0, -3.0]),
        ("gem", [((1 + 8 + 27 + 216) / 4) ** (1 / 3), 1e-6]),
    ],
)
def test_pooling_by_hand(pooling: str, expected: list[float]) -> None:
    model = Embedder(
        Constant(),
        2,
        imagenet(),
        embedding_dim=3,
        pooling=pooling,
        normalize=False,
        batchnorm="trained",
    )
    features = model.features(IMAGES)[0]
    assert features.tolist() == pytest.approx(expected, rel=1e-5)
    weight, bias = model.head.weight, model.head.bias
    by_hand = [features[0] * weight[d, 0] + features[1] * weight[d, 1] + bias[d] for d in range(3)]
    assert torch.allclose(model(IMAGES)[2], torch.stack(by_hand))


def test_gem_trains_its_exponent() -> None:
    assert "pool.p" in changed(embedder(pooling="gem"))


def test_without_a_head_the_embeddings_are_the_features() -> None:
    model = embedder(embedding_dim=None, normalize=False).eval()
    assert model.embedding_dim == 6
    assert torch.equal(model(IMAGES), model.features(IMAGES))


def test_heads_by_hand() -> None:
    features = torch.randn(8, 6)
    for head in ("linear+layernorm", "layernorm+linear", "bnneck"):
        model = embedder(head=head, normalize=False)
        linear = next(m for m in model.head.modules() if isinstance(m, nn.Linear))
        x = features
        if head == "layernorm+linear":
            x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
        x = x @ linear.weight.T + linear.bias
        axis = {"linear+layernorm": 1, "bnneck": 0}.get(head)
        if axis is not None:
            variance = x.var(axis, keepdim=True, correction=0)
            x = (x - x.mean(axis, keepdim=True)) / (variance + 1e-5).sqrt()
        assert torch.allclose(model.embed_features(features), x, atol=1e-5), head


def test_the_bias_of_bnneck_stays_zero() -> None:
    model = embedder(head="bnneck")
    moved = changed(model)
    assert "head.norm.weight" in moved
    assert "head.norm.bias" not in moved


def test_trained_batchnorm_trains() -> None:
    assert {"trunk.1.weight", "trunk.1.running_mean", "trunk.0.weight"} <= changed(embedder())


def test_frozen_batchnorm_changes_in_nothing() -> None:
    model = embedder(batchnorm="frozen")
    moved = changed(model)
    assert "trunk.0.weight" in moved
    assert not [name for name in moved if name.startswith("trunk.1.")]
    assert not any(p.requires_grad for p in model.trunk[1].parameters())


def test_frozen_statistics_still_train_the_affine_parameters() -> None:
    moved = {n for n in changed(embedder(batchnorm="frozen_statistics")) if n.startswith("trunk.1")}
    assert moved == {"trunk.1.weight", "trunk.1.bias"}


@pytest.mark.parametrize("batchnorm", ["frozen", "frozen_statistics"])
def test_train_returns_the_model_and_leaves_only_batchnorm_in_evaluation(batchnorm: str) -> None:
    model = embedder(batchnorm=batchnorm)
    for mode in (True, False, True):
        assert model.train(mode) is model
        assert model.training == model.trunk[0].training == model.trunk[2].training == mode
        assert not model.trunk[1].training


def test_float32_out_and_normalised_in_float32_under_autocast() -> None:
    model = embedder().eval()
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = model(IMAGES)
        assert model.normalization(IMAGES).dtype == torch.float32
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(4), atol=1e-6)
    assert torch.allclose(embeddings, model(IMAGES), atol=0.05)


def test_channels_last_gives_the_same_and_stays() -> None:
    model = embedder().eval()
    expected = model(IMAGES)
    model = model.to(memory_format=torch.channels_last)
    images = IMAGES.contiguous(memory_format=torch.channels_last)
    for bgr in (False, True):
        normalised = InputNormalization((1, 2, 3), (1, 1, 1), bgr)(images)
        assert normalised.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(model(images), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"pooling": "sum"}, "pooling must be one of avg, max, avg\\+max, gem, got sum"),
        ({"batchnorm": "freeze"}, "batchnorm must be one of frozen, frozen_statistics, trained"),
        ({"embedding_dim": 0}, "at least 1"),
        ({"head": "mlp"}, "head must be one of linear, linear"),
    ],
)
def test_an_impossible_choice_is_named(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embedder(**choice)
