"""Stored features give the numbers of the images, and only the head is trained."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from omegaconf import OmegaConf

from architectures.convnet import convnet
from datasets.digits import digits
from datasets.images import Images
from datasets.transforms import Transforms, small
from engine.checkpoint import read_checkpoint
from engine.config.errors import ConfigurationError
from engine.data.image_source import SourceConfig
from engine.embed_split import embed_split
from engine.frozen_features import AugmentedOnce, FeatureStore, freeze, with_stored_features
from engine.train import embed_for_sampler
from tests.engine.test_configuration import composed
from tests.run_server import Runs
from tests.run_server import runs as runs
from tests.run_server import server as server

BATCH = 32
FABRIC = Fabric(accelerator="cpu", devices=1)
FROZEN = "trainer.features=frozen"


def images(transforms: Transforms, train: bool = False) -> Images:
    table = digits().iloc[:70]
    return Images(table, transforms.train if train else transforms.eval)


def store(folder: Path, precision: Literal["32-true", "bf16-mixed"] = "32-true") -> FeatureStore:
    torch.manual_seed(0)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    return FeatureStore(fabric, convnet(width=8).eval(), folder, BATCH, num_workers=0)


def test_an_evaluation_has_the_same_bits(tmp_path: Path) -> None:
    features, split = store(tmp_path), images(small())
    stored = features.evaluated(split)
    expected = embed_split(FABRIC, features.embedder, split, BATCH, 0)
    found = embed_split(FABRIC, features.embedder, stored, BATCH, 0)
    assert torch.equal(found.embeddings, expected.embeddings)
    assert torch.equal(found.labels, expected.labels)
    assert all(map(torch.equal, stored.roles, split.roles))


def test_features_are_read_again_unless_something_that_decides_them_changes(tmp_path: Path) -> None:
    split = images(small())
    store(tmp_path).evaluated(split)
    [file] = tmp_path.glob("features_*.npy")
    np.save(file, np.full_like(np.load(file), 7))
    assert store(tmp_path).evaluated(split).views.eq(7).all()
    others = [store(tmp_path), store(tmp_path), store(tmp_path, "bf16-mixed")]
    with torch.no_grad():
        others[0].embedder.trunk[0][0].weight += 1
    others[1].embedder.normalization.std *= 2
    assert not any(other.evaluated(split).views.eq(7).all() for other in others)
    assert not store(tmp_path).evaluated(images(small(size=24))).views.eq(7).all()


def test_views_are_augmentations_that_differ_and_are_the_same_in_every_run(tmp_path: Path) -> None:
    split = images(small(shift=4), train=True)
    first, second = (store(tmp_path / name).augmented(split, 3).views for name in "ab")
    assert torch.equal(first, second)
    assert first.shape == (3, 70, 32)
    assert not torch.equal(first[0], first[1])
    seeds = [(number, seed) for number in (0, 5) for seed in (0, 1, 5)]
    stored = store(tmp_path / "a").augmented(split, 3)
    assert all(torch.equal(stored[i, s][0], first[s % 3, i]) for i, s in seeds)
    assert not torch.equal(AugmentedOnce(split, 0)[0][0], AugmentedOnce(split, 1)[0][0])


def test_unaugmented_training_images_are_not_those_of_the_image_cache(tmp_path: Path) -> None:
    """A cache holds what the transform of training does with them first."""
    config = composed("dataset=digits", "transform=small", FROZEN, f"paths.cache={tmp_path}")
    train = images(small(), train=True)
    train.cache = {index: torch.zeros(3, 28, 28, dtype=torch.uint8) for index in range(70)}
    embedder = freeze(store(tmp_path).embedder, config.trainer)
    stored, _ = with_stored_features(config, FABRIC, embedder, train, {}, 0)
    expected = [embedder.features(images(small())[index][0][None])[0] for index in range(3)]
    for index, features in enumerate(expected):
        torch.testing.assert_close(stored[index][0], features)


def test_a_sampler_of_stored_embeddings_embeds_the_features(tmp_path: Path) -> None:
    model = FABRIC.setup_module(store(tmp_path).embedder)
    source = SourceConfig("files", tmp_path, 0)
    found = []
    for features in ("trained", "frozen"):
        config = composed("dataset=digits", "transform=small", f"paths.cache={tmp_path}")
        config.trainer.features = features
        found.append(embed_for_sampler(config, digits().iloc[:70], FABRIC, model, source))
        assert len(list(tmp_path.glob("features_*.npy"))) == (features == "frozen")
    assert torch.equal(*found)


def test_images_that_the_device_decodes_have_features_of_their_own(tmp_path: Path) -> None:
    """Their pixels differ by rounding."""
    features, split, other = store(tmp_path), images(small()), images(small())
    other.on_device = True
    assert features._key(split, "evaluated") != features._key(other, "evaluated")


def test_what_has_no_head_is_refused() -> None:
    trainer = OmegaConf.create({"devices": 1, "num_nodes": 1})
    with pytest.raises(ConfigurationError, match="the network of this run is a Linear; choose"):
        freeze(torch.nn.Linear(2, 2), trainer)
    with pytest.raises(ConfigurationError, match="this backbone has none"):
        freeze(convnet(embedding_dim=None), trainer)
    with pytest.raises(ConfigurationError, match=r"choose trainer\.devices=1"):
        freeze(convnet(), OmegaConf.create({"devices": 2, "num_nodes": 1}))


def test_the_parameters_that_a_head_does_not_train_stay_frozen() -> None:
    trainer = OmegaConf.create({"devices": 1, "num_nodes": 1})
    frozen = freeze(convnet(head="bnneck", pooling="gem"), trainer)
    trained = {name for name, value in frozen.named_parameters() if value.requires_grad}
    assert trained == {"head.linear.weight", "head.linear.bias", "head.norm.weight"}


def test_a_run_trains_the_head_alone_and_is_evaluated_as_any_other(
    runs: Runs, tmp_path: Path
) -> None:
    folder = runs.finished(FROZEN, f"paths.cache={tmp_path}", "trainer.checkpoint_every=24")
    kept = [
        read_checkpoint(folder / "checkpoints" / name)["parts"]["model"]
        for name in ("previous.pt", "last.pt")
    ]
    moved = {name for name, value in kept[0].items() if not torch.equal(value, kept[1][name])}
    assert moved == {"head.weight", "head.bias"}
    assert runs.command(f"python -m scripts.evaluate run={folder} name=images", Path()).code == 0
    again = json.loads((folder / "evaluation" / "images" / "metrics.json").read_text())
    last = json.loads((folder / "summary.json").read_text())["last"]
    assert again["metrics"]["test/recall@1"] == last["test/recall@1"]
