"""Selection of points of a big batch one after the other, each by its distances to the earlier."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.types import Embeddings

Accumulate = Callable[[Tensor, Tensor], Tensor]  # of the distances so far and to the last point
Choose = Callable[[Tensor, Tensor], Tensor]  # accumulated distances, eligible -> index, (1,)


def big_batch(rng: np.random.Generator, num_images: int, size: float) -> np.ndarray:
    """Draws the distinct images of a big batch, (M,): a number of images, or a fraction below 1."""
    number = size * num_images if size < 1 else min(size, num_images)
    return rng.choice(num_images, max(1, int(number)), replace=False)


def check_big_batch(size: float, num_images: int, points: int) -> None:
    """Check that a big batch has as many images as points are selected from it."""
    number = int(size * num_images) if size < 1 else min(size, num_images)
    if size <= 0 or number < points:
        raise ValueError(
            f"big_batch_size={size} of {num_images} images must hold the {points} points of a batch"
        )


def select_points(
    points: Embeddings,
    classes: Tensor | None,
    first: Tensor,
    count: int,
    accumulate: Accumulate,
    choose: Choose,
) -> Tensor:
    """Selects `count` distinct points one after the other, (M, D) -> indices (count,).

    Args:
        points: the big batch, M >= `count`.
        classes: class of every point, (M,): a class is selected once, unless the big batch has
            fewer classes than `count`. None: classes may repeat.
        first: index of the first point, (1,).
        count: number of points.
        accumulate: joins squared distances (M,) of all points to the earlier selected points with
            those to the last one, such as `torch.minimum`.
        choose: selects the next point.
    """
    points = points - points.mean(dim=0)  # squared distances of long rows lose digits
    norms = points.square().sum(dim=1)
    unselected = torch.ones_like(norms, dtype=torch.bool)
    available = unselected.clone()
    selected, distances = [first], squared_distances(points, norms, first)
    for _ in range(count - 1):
        last = selected[-1]
        unselected = unselected.index_fill(0, last, False)
        available = available & (unselected if classes is None else classes != classes[last])
        eligible = torch.where(available.any(), available, unselected)
        selected.append(choose(distances, eligible))
        distances = accumulate(distances, squared_distances(points, norms, selected[-1]))
    return torch.cat(selected)


def squared_distances(points: Embeddings, norms: Tensor, one: Tensor) -> Tensor:
    """Squared Euclidean distances of all points to one of them, (M,), at least 0."""
    products = points @ points[one].squeeze(0)
    return (norms + norms[one] - 2 * products).clamp_(min=0)


def farthest(distances: Tensor, eligible: Tensor) -> Tensor:
    """The eligible point of the largest distance, (1,); the first of several."""
    return distances.masked_fill(~eligible, -torch.inf).argmax(dim=0, keepdim=True)
