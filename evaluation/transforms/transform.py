"""Transform interface: a transform maps the embeddings of a set to those that are evaluated.

A transform is a callable `transform(embeddings) -> embeddings`, (N, D) -> (N, D'), of all samples
of the set, queries and gallery together. If it has a parameter `gallery`, it is also given the
indices (M,) of the gallery items, so that it can be fitted on these alone.
"""

import inspect
from collections.abc import Callable
from typing import Literal

from jaxtyping import Int
from torch import Tensor

from core.distance import to_float32
from core.errors import ComponentError, UserError
from core.types import Embeddings

Transform = Callable[..., Embeddings]
FitOn = Literal["all", "gallery"]  # samples of the evaluated set that a transform is fitted on


class TransformError(UserError, ValueError):
    """A transform cannot be applied to embeddings of this number and size."""


def apply_transform(
    transform: Transform, embeddings: Embeddings, gallery: Int[Tensor, " M"]
) -> Embeddings:
    """The transformed embeddings, on the device of the embeddings and at least float32.

    Raises:
        ComponentError: the transform returns no embeddings (N, D') of the N samples.
    """
    fitted_on = {"gallery": gallery} if takes_gallery(transform) else {}
    transformed: object = transform(embeddings, **fitted_on)
    if isinstance(transformed, Tensor):
        if transformed.ndim == 2 and len(transformed) == len(embeddings):
            return to_float32(transformed).to(embeddings.device)
        got = f"shape {tuple(transformed.shape)}"
    else:
        got = type(transformed).__name__
    raise ComponentError(
        "evaluation.measure.transform must return a tensor of embeddings (N, D) with "
        f"N = {len(embeddings)}, got {got}"
    )


def takes_gallery(transform: Transform) -> bool:
    """Whether the transform has a parameter `gallery`."""
    try:
        return "gallery" in inspect.signature(transform).parameters
    except ValueError:  # a function written in C has no signature
        return False


def fitting_rows(embeddings: Embeddings, gallery: Int[Tensor, " M"], fit_on: FitOn) -> Embeddings:
    """The embeddings that a transform is fitted on.

    Raises:
        TransformError: there are none, or `fit_on` is unknown.
    """
    if fit_on not in ("all", "gallery"):
        raise TransformError(f"fit_on must be all or gallery, got {fit_on!r}")
    rows = embeddings if fit_on == "all" else embeddings[gallery]
    if len(rows) == 0:
        raise TransformError("a transform cannot be fitted on an empty gallery; use fit_on=all")
    return rows
