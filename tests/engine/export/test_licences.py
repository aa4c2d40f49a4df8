"""Licences in a model card: those that are known, and none that is made up."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_object

from engine.export.licences import UNKNOWN, licences

RESNET = "architectures.resnet50.resnet50"


def config(dataset: str, **backbone: object) -> dict[str, Any]:
    return {"dataset": {"_target_": dataset}, "backbone": {"_target_": RESNET, **backbone}}


def test_the_licence_of_omniglot_is_the_one_beside_it(omniglot_root: str) -> None:
    text = (Path(omniglot_root) / "omniglot" / "LICENSE").read_text()
    stated = licences(config("datasets.omniglot_small.omniglot_small"))["training images"]
    assert "The MIT License" in text
    assert stated.startswith("MIT ")


def test_the_licence_of_grocery_store_is_the_one_of_its_release(grocery_store_root: str) -> None:
    text = (Path(grocery_store_root) / "grocery_store" / "LICENSE").read_text()
    assert text.startswith("MIT License")
    assert licences(config("datasets.grocery_store.grocery_store"))["training images"][:4] == "MIT "


def test_images_of_ones_own_have_no_known_licence() -> None:
    assert licences(config("datasets.folder.folder"))["training images"] == UNKNOWN


@pytest.mark.parametrize("pretrained", [{}, {"pretrained": False}])
def test_random_weights_need_none(pretrained: dict[str, bool]) -> None:
    found = licences(config("datasets.folder.folder", **pretrained))["pretrained weights"]
    assert found == "none: trained from random weights"


def test_pretrained_weights_name_who_states_their_terms_and_their_images() -> None:
    found = licences(config("datasets.folder.folder", pretrained=True))["pretrained weights"]
    assert found == (
        "see https://docs.pytorch.org/vision/stable/models.html; trained on ImageNet, which has "
        "terms of its own"
    )


def test_timm_states_the_licence_of_a_model() -> None:
    name = "vit_small_patch14_dinov2.lvd142m"
    found = licences(config("x", pretrained=True, model_name=name))["pretrained weights"]
    assert found == f"apache-2.0, as timm states for {name}"
    unknown = config("x", pretrained=True, model_name="resnet9000")
    assert licences(unknown)["pretrained weights"] == UNKNOWN


def test_every_licence_is_of_something_that_exists() -> None:
    file = Path(licences.__code__.co_filename).parent / "licences.yaml"
    for entries in yaml.safe_load(file.read_text()).values():
        for target, entry in entries.items():
            assert callable(get_object(target))
            assert entry["address"].startswith("https://")
