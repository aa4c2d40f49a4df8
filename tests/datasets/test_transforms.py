"""The steps of each recipe, as features of the published protocols state them."""

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.transforms import Transform, Transforms, adv, base, musgrave, red, small

# name -> (recipe, crop, steps before the flip) of the training images, with torchvision's defaults
RECIPES = {
    "base": (base(), 224, ["RandomResizedCrop"]),
    "big": (base(crop=256), 256, ["RandomResizedCrop"]),
    "adv": (adv(), 224, ["RandomResizedCrop", "RandomGrayscale", "ColorJitter"]),
    "red": (red(), 224, ["Resize", "RandomCrop"]),
    "musgrave": (musgrave(), 227, ["Resize", "RandomResizedCrop"]),
}


def steps(transform: Transform) -> dict[str, object]:
    return {type(step).__name__: step for step in [*transform.deterministic, *transform.random]}


@pytest.mark.parametrize(("recipe", "crop", "names"), RECIPES.values(), ids=RECIPES.keys())
def test_a_recipe_has_the_published_steps(recipe: Transforms, crop: int, names: list[str]) -> None:
    train, evaluation = steps(recipe.train), steps(recipe.eval)
    assert list(train) == [*names, "RandomHorizontalFlip"]
    assert train["RandomHorizontalFlip"].p == 0.5
    assert list(evaluation) == ["Resize", "CenterCrop"]
    assert evaluation["Resize"].size == [256]
    if resized := train.get("RandomResizedCrop"):
        assert resized.ratio == (3 / 4, 4 / 3)
        assert resized.scale == ((0.16, 1.0) if names[0] == "Resize" else (0.08, 1.0))
    if jitter := train.get("ColorJitter"):
        assert train["RandomGrayscale"].p == 0.2
        assert jitter.brightness == jitter.contrast == jitter.saturation == (0.8, 1.2)
        assert jitter.hue == (-0.2, 0.2)
    photo = Image.effect_noise((300, 400), 60).convert("RGB")
    for transform in recipe:
        image = transform(photo)
        assert (image.dtype, image.shape) == (torch.uint8, (3, crop, crop))


@pytest.mark.parametrize("recipe", [*(recipe for recipe, *_ in RECIPES.values()), small()])
def test_deterministic_operations_draw_nothing(recipe: Transforms) -> None:
    photo = Image.effect_noise((300, 400), 60).convert("RGB")
    before = torch.get_rng_state()
    for transform in recipe:
        transform.apply_deterministic(photo)
    assert torch.get_rng_state().equal(before)
    assert not recipe.eval.random


def test_evaluation_shows_the_centre_of_the_resized_image() -> None:
    photo = Image.effect_noise((512, 768), 60).convert("RGB")
    resized = np.asarray(photo.resize((256, 384), Image.Resampling.BILINEAR))
    expected = resized[80:304, 16:240]  # (384 - 224) / 2 from above, (256 - 224) / 2 from the left
    assert (base().eval(photo).permute(1, 2, 0).numpy() == expected).all()


@pytest.mark.parametrize("paper", [0, 255])
def test_small_images_move_on_their_own_paper_and_are_never_mirrored(paper: int) -> None:
    pixels = np.full((28, 28), paper, np.uint8)
    pixels[10:13, 6:8] = 255 - paper
    image = Image.fromarray(pixels).convert("RGB")
    plain = small().eval(image)
    assert (plain == torch.tensor(pixels)).all()
    moved = {
        (x, y): plain.roll((x, y), (1, 2)) for x in range(-2, 3) for y in range(-2, 3)
    }  # the ink is far from the border, so moving is rolling
    seen = set()
    for _ in range(400):
        result = small().train(image)
        seen |= {shift for shift, expected in moved.items() if torch.equal(result, expected)}
        assert any(torch.equal(result, expected) for expected in moved.values())
    assert seen == set(moved)
