"""Checks of a batch: one clear error that names the argument, before any computation.

Shapes and dtypes are always checked. Values are checked only where reading them costs nothing: on
the CPU, outside `torch.compile`. On an accelerator, reading them would make the host wait for the
device at every step; there a non-finite embedding makes the loss non-finite, which the run reports,
and the device itself reports an index out of range.
"""

import math

import torch
from torch import Tensor

from core.errors import ComponentError
from core.types import (
    Embeddings,
    Labels,
    Miner,
    Pairs,
    ReferenceLabels,
    References,
    Targets,
    Triplets,
    Tuples,
)


def check_inputs(
    embeddings: Embeddings,
    labels: Labels,
    references: References | None = None,
    reference_labels: ReferenceLabels | None = None,
) -> None:
    """Check that there are N >= 1 finite embeddings, each with a label; likewise references.

    Raises:
        TypeError: embeddings that are not floating point, labels that are not integers.
        ValueError: a wrong shape, a value that is not finite, one reference argument without the
            other.
    """
    _check_labelled("embeddings", embeddings, "labels", labels)
    if (references is None) != (reference_labels is None):
        raise ValueError("references and reference_labels go together, got only one of them")
    if references is not None and reference_labels is not None:
        _check_labelled("references", references, "reference_labels", reference_labels)
        if references.shape[1] != embeddings.shape[1]:
            raise ValueError(
                f"references must have the {embeddings.shape[1]} dimensions of the embeddings, "
                f"got {references.shape[1]}"
            )


def check_classes(labels: Labels, num_classes: int) -> None:
    """Check that every label is in 0..num_classes-1.

    Raises:
        ValueError: a label is not.
    """
    if not can_read_without_sync(labels):
        return
    lowest, highest = (int(extreme) for extreme in labels.aminmax())
    if lowest < 0 or highest >= num_classes:
        raise ValueError(
            f"labels must be in 0..{num_classes - 1} (num_classes is {num_classes}), "
            f"got {lowest}..{highest}"
        )


def check_targets(embeddings: Embeddings, labels: Targets, num_classes: int) -> None:
    """Check that each embedding has a label in 0..num_classes-1, or a soft label over the classes.

    Raises:
        TypeError, ValueError: as `check_inputs` and `check_classes`; soft labels that are not of
            shape (N, C), negative, or do not sum to 1.
    """
    if not (labels.is_floating_point() and labels.ndim == 2):
        check_inputs(embeddings, labels)
        check_classes(labels, num_classes)
        return
    if labels.shape[1] != num_classes:
        raise ValueError(
            f"labels must be integers (N,) or soft labels (N, {num_classes}), "
            f"got {tuple(labels.shape)}"
        )
    check_inputs(embeddings, labels.argmax(dim=1))
    if can_read_without_sync(labels):
        sums = labels.sum(dim=1)
        if (labels < 0).any() or not torch.allclose(sums, torch.ones_like(sums), atol=1e-2):
            raise ValueError("labels must be class probabilities that sum to 1 for each sample")


def check_tuples(tuples: Tuples, num_anchors: int, num_references: int) -> None:
    """Check that the tuples fit `num_anchors` anchors and `num_references` references.

    Raises:
        TypeError, ValueError: a wrong kind, dtype or shape, or an index out of range.
    """
    _check_form(tuples, num_anchors, num_references)
    if isinstance(tuples, Triplets):
        _check_range(tuples, num_anchors, num_references)


def check_mined(miner: Miner, tuples: Tuples, num_anchors: int, num_references: int) -> None:
    """Check that a miner returned tuples of this batch: kind, dtypes and shapes, not values.

    Raises:
        ComponentError: they are not; names the miner and what a miner returns.
    """
    try:
        _check_form(tuples, num_anchors, num_references)
    except (TypeError, ValueError, AttributeError) as error:
        name = getattr(miner, "__qualname__", type(miner).__qualname__)
        raise ComponentError(
            f"the miner {name} returned no tuples of the batch: {error}; a miner returns "
            "core.types.Pairs(positives, negatives) or Triplets(anchors, positives, negatives)"
        ) from error


def _check_form(tuples: Tuples, num_anchors: int, num_references: int) -> None:
    if isinstance(tuples, Pairs):
        _check_masks(tuples, num_anchors, num_references)
    elif isinstance(tuples, Triplets):
        _check_index_types(tuples)
    else:
        raise TypeError(f"tuples must be Pairs or Triplets, got {type(tuples).__name__}")


def _check_labelled(name: str, vectors: Tensor, labels_name: str, labels: Tensor) -> None:
    if not vectors.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {vectors.dtype}")
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"{name} must have shape (N, D), neither 0, got {tuple(vectors.shape)}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"{labels_name} must be integers, got {labels.dtype}")
    if labels.shape != vectors.shape[:1]:
        raise ValueError(
            f"{labels_name} must have shape ({len(vectors)},), one for each of the {name}, "
            f"got {tuple(labels.shape)}"
        )
    if can_read_without_sync(vectors) and not _all_finite(vectors):
        raise ValueError(f"{name} must be finite, got NaN or infinity")


def _check_masks(pairs: Pairs, num_anchors: int, num_references: int) -> None:
    shape = (num_anchors, num_references)
    for name, mask in zip(Pairs._fields, pairs, strict=True):
        if mask.dtype != torch.bool or mask.shape != shape:
            raise ValueError(
                f"tuples.{name} must be a boolean mask of shape {shape}, "
                f"got {mask.dtype} of shape {tuple(mask.shape)}"
            )


def _check_index_types(triplets: Triplets) -> None:
    *parts, valid = triplets
    for name, indices in zip(Triplets._fields, parts, strict=False):
        if indices.dtype != torch.long or indices.shape != triplets.anchors.shape[:1]:
            raise ValueError(
                f"tuples.{name} must be int64 indices of shape (T,), "
                f"got {indices.dtype} of shape {tuple(indices.shape)}"
            )
    if valid is not None and (valid.dtype != torch.bool or valid.shape != parts[0].shape):
        raise ValueError(
            f"tuples.valid must be None or a boolean mask of shape {tuple(parts[0].shape)}, "
            f"got {valid.dtype} of shape {tuple(valid.shape)}"
        )


def _check_range(triplets: Triplets, num_anchors: int, num_references: int) -> None:
    limits = (num_anchors, num_references, num_references)
    for name, indices, limit in zip(Triplets._fields, triplets, limits, strict=False):
        assert indices is not None
        if can_read_without_sync(indices) and ((indices < 0) | (indices >= limit)).any():
            raise ValueError(f"tuples.{name} must be in 0..{limit - 1}")


def _all_finite(vectors: Tensor) -> bool:
    """Whether all entries are finite; one pass if their sum is, else a second one."""
    return math.isfinite(vectors.detach().sum()) or bool(vectors.isfinite().all())


def can_read_without_sync(tensor: Tensor) -> bool:
    """Whether reading the values costs nothing: on the CPU, outside `torch.compile`."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()
