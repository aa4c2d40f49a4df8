"""Pixels against NumPy."""

import numpy as np
import torch

from architectures.pixels import pixels


def test_embeddings_are_centred_means_of_areas() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 48), dtype=np.uint8)
    areas = images.astype(np.float64).reshape(3, 3, 4, 8, 4, 12).mean((3, 5)).reshape(3, -1)
    centred = areas - areas.mean(1, keepdims=True)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    embeddings = pixels(size=4).eval()(torch.from_numpy(images))
    np.testing.assert_allclose(embeddings.numpy(), expected, atol=1e-5)


def test_brightness_changes_no_embedding() -> None:
    images = torch.randint(0, 100, (2, 3, 32, 32), dtype=torch.uint8)
    model = pixels().eval()
    torch.testing.assert_close(model(images + 100), model(images), atol=1e-5, rtol=0)
