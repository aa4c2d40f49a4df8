"""Licences of the data and of the pretrained weights of a run, as far as they are stated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import yaml

UNKNOWN = "not known to this project; ask whoever published them"
CODE = "MIT (the code of this project)"


def licences(config: Mapping[str, Any]) -> dict[str, str]:
    """What is licensed -> its licence and where that is stated.

    Args:
        config: the configuration of the run as plain data.
    """
    known = yaml.safe_load((Path(__file__).parent / "licences.yaml").read_text())
    data = known["datasets"].get(config["dataset"].get("_target_"))
    return {
        "training images": sentence(data),
        "pretrained weights": weights(config["backbone"], known),
    }


def weights(backbone: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """The licence of the weights that the training started from."""
    if not backbone.get("pretrained", False):
        return "none: trained from random weights"
    if "model_name" in backbone:
        return timm_licence(str(backbone["model_name"]))
    return sentence(known["weights"].get(backbone.get("_target_")))


def timm_licence(model_name: str) -> str:
    """The licence that timm states for the weights of a model."""
    stated = timm.get_pretrained_cfg(model_name)
    licence = stated.license if stated else None
    return f"{licence}, as timm states for {model_name}" if licence else UNKNOWN


def sentence(entry: Mapping[str, str] | None) -> str:
    """A licence, the address that states it, and the data behind the weights."""
    if entry is None:
        return UNKNOWN
    trained = f"; trained on {entry['data']}, which has terms of its own" if "data" in entry else ""
    return f"{entry.get('licence', 'see')} {entry['address']}{trained}"
