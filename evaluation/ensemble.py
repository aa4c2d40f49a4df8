"""Ensemble: concatenates embeddings of several heads or models into one embedding per sample."""

import math
from collections.abc import Mapping, Sequence

import torch

from core.distance import to_float32
from core.kernels.l2_normalize import l2_normalize
from core.types import Embeddings


def concatenate_embeddings(
    parts: Sequence[Embeddings], weights: Sequence[float] | None = None
) -> Embeddings:
    """Concatenated embeddings: unit vectors whose cosine is the weighted mean of the cosines.

        combined = [w_1 x_1/|x_1|, ..., w_n x_n/|x_n|] / |w|,   cosine = Σ w_i² cosine_i / Σ w_i²

    With equal weights this is the concatenation of several runs that Musgrave et al. 2020
    (https://arxiv.org/abs/2003.08505) evaluate: four models of 128 dimensions give 512. With
    weights it is the combined embedding of DiVA (Milbich et al. 2020,
    https://arxiv.org/abs/2004.13458).

    Args:
        parts: embeddings (N, D_i) of the same samples in the same order; D_i may differ.
        weights: one weight per part, >= 0 and not all 0; None means equal weights.

    Raises:
        ValueError: no parts, different numbers of samples, or invalid weights.
    """
    weights = [1.0] * len(parts) if weights is None else list(weights)
    sizes = sorted({len(part) for part in parts})
    if len(sizes) != 1:
        raise ValueError(f"embeddings of the same samples expected, got {sizes or 'none'} of them")
    if len(weights) != len(parts) or min(weights) < 0 or not math.hypot(*weights):
        raise ValueError(f"{len(parts)} weights of at least 0, not all 0, expected, got {weights}")
    scaled = [
        l2_normalize(to_float32(part)) * (weight / math.hypot(*weights))
        for part, weight in zip(parts, weights, strict=True)
    ]
    return torch.cat(scaled, dim=1)


def evaluate_ensemble(
    parts: Mapping[str, Embeddings],
    weights: Mapping[str, float] | None = None,
    name: str = "combined",
) -> dict[str, Embeddings]:
    """Embeddings to evaluate: every part under its own name, and the ensemble under `name`.

    Args:
        parts: name -> embeddings of a head or of a run.
        weights: name -> weight, see `concatenate_embeddings`; parts without a weight are not in
            the ensemble.
        name: name of the ensemble in the result.

    Raises:
        ValueError: see `concatenate_embeddings`; or a part is called `name`, or a weight names no
            part.
    """
    weights = dict.fromkeys(parts, 1.0) if weights is None else weights
    unknown = sorted(set(weights) - set(parts))
    if name in parts or unknown:
        problem = f"no part is called {', '.join(unknown)}" if unknown else f"{name} is a part"
        raise ValueError(f"{problem}; the parts are {', '.join(parts)}")
    return {
        **parts,
        name: concatenate_embeddings([parts[part] for part in weights], list(weights.values())),
    }
