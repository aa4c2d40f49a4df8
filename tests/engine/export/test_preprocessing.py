"""What an image goes through before an exported network, as data and as lines of Pillow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from datasets.timm_transforms import timm_transforms
from datasets.transforms import Transform, base, musgrave, small
from engine.export.inference_network import ExportError
from engine.export.preprocessing import describe, image_shape
from engine.export.usage import pillow_lines, usage

TRANSFORMS = {
    "base": base().eval,
    "musgrave": musgrave().eval,
    "small": small().eval,
    "timm, bicubic": timm_transforms("vit_tiny_patch16_224").eval,
}


def steps(transform: Transform) -> list[dict[str, Any]]:
    return [{"step": "read"}, *map(describe, transform.deterministic)]


@pytest.mark.parametrize("size", [(640, 480), (333, 500), (57, 58), (134, 100)])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_lines_of_pillow_give_the_pixels_of_the_run(
    name: str, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"Image": Image}
    exec("\n".join(pillow_lines(steps(TRANSFORMS[name]))), names)
    expected: Tensor = TRANSFORMS[name](Image.open("photo.jpg"))
    assert np.array_equal(np.asarray(names["photo"]).transpose(2, 0, 1), expected.numpy())


def test_the_steps_name_their_numbers() -> None:
    resize, crop = map(describe, base(crop=224, resize=256).eval.deterministic)
    assert resize == {
        "step": "resize",
        "shorter_side": 256,
        "interpolation": "bilinear",
        "antialias": True,
    }
    assert crop == {"step": "center_crop", "height": 224, "width": 224}
    (square,) = map(describe, small(28).eval.deterministic)
    assert (square["height"], square["width"]) == (28, 28)


def test_an_operation_of_ones_own_is_named_with_its_arguments() -> None:
    step = describe(v2.Grayscale(3))
    assert step["step"] == "Grayscale"
    assert "3" in step["arguments"]
    assert "Grayscale" in "\n".join(pillow_lines([step]))


def test_images_of_several_sizes_are_refused() -> None:
    with pytest.raises(ExportError, match="different sizes"):
        image_shape(Transform([v2.Resize(32)]))
    assert image_shape(base(crop=64, resize=72).eval) == (3, 64, 64)


def test_the_page_shows_the_lines_of_a_model_card() -> None:
    """Those of model cards are executed by tests/scripts/test_export.py."""
    preprocessing = {"output": {"shape": ["N", 128]}, "steps": steps(small(28).eval)}
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text()
    assert f"```python\n{usage('model.onnx', preprocessing)}\n```" in page


@pytest.mark.parametrize("file", ["model.onnx", "model_int8.onnx", "model.pt2"])
def test_the_lines_need_no_module_of_this_project(file: str) -> None:
    preprocessing = {"output": {"shape": ["N", 128]}, "steps": steps(base().eval)}
    lines = usage(file, preprocessing)
    imported = [line for line in lines.splitlines() if line.startswith(("import", "from"))]
    modules = {line.split()[1].split(".")[0] for line in imported}
    assert modules <= {"numpy", "onnxruntime", "PIL", "torch"}
    assert f'"{file}"' in lines
