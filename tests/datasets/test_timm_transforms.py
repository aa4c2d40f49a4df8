"""The evaluation shows a timm network what timm shows it."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from datasets.timm_transforms import timm_transforms

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
IMAGE = Image.fromarray(PIXELS).resize((450, 350), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet50", "vit_small_patch16_224"])
def test_the_pixels_are_those_of_timms_own_transform(name: str) -> None:
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    theirs = timm.data.create_transform(**config)(IMAGE)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    ours = timm_transforms(name).eval(IMAGE).float() / 255
    assert torch.allclose((ours - mean) / std, theirs, atol=1e-5)


def test_another_crop_keeps_the_ratio() -> None:
    evaluated = timm_transforms("tf_efficientnet_lite0", crop=160)
    assert evaluated.eval(IMAGE).shape == evaluated.train(IMAGE).shape == (3, 160, 160)
    assert evaluated.eval.deterministic[0].size == [182]


def test_a_network_that_timm_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match=r"needs backbone=timm .* got convnet"):
        timm_transforms("convnet")
