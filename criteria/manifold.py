"""Manifold similarity: Aziere and Todorovic, Ensemble Deep Manifold Similarity Learning using Hard
Proxies, CVPR 2019.

https://openaccess.thecvf.com/content_CVPR_2019/papers/Aziere_Ensemble_Deep_Manifold_Similarity_Learning_Using_Hard_Proxies_CVPR_2019_paper.pdf
"""

from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from core.batch_checks import check_classes, check_inputs
from core.classification import Initializer, init_prototypes
from core.distance import Cosine, to_float32
from core.kernels.inverse import inverse_of_positive_definite
from core.kernels.logsumexp import log1p_sum_exp
from core.ranges import NonNegativeFloat, OpenFraction, Seed, Size
from core.reducer import Mean, Reducer, weighted
from core.tuples import sample_weights
from core.types import Embeddings, Labels, Scalar, Tuples


class Manifold(nn.Module):
    """Manifold similarity loss: compares samples with proxies by random walks among all of them.

    Over the N embeddings and K proxies together, with S_ij = exp(2 [cos_ij]₊), S_ii = 0, and D the
    diagonal matrix of its row sums, random walks that continue with probability α end up at

        F = (1 - α) (I - α D^-½ S D^-½)^-1

    Row i is the manifold context of i. Every class belongs to one proxy, drawn once and as evenly
    as possible; with y the proxy of sample i and m the margin,

        intrinsic_i = log(1 + Σ_{k ≠ y} exp(F_ik - F_iy + m))
        context_i   = log(1 + Σ_{k ≠ y} exp(cos(F_i, F_k) - cos(F_i, F_y) + m))

    each over the proxies k whose exponent is not negative, and the loss is intrinsic + λ context,
    averaged over the batch. Given `tuples` weigh each sample by how often they name it. It takes
    O((N + K)³) time, for the inverse and its gradient, and O((N + K)²) memory. It takes no
    `distance`: walks need a symmetric similarity that is positive for neighbours and bounded.

    Differences:
        Aziere and Todorovic: an ensemble of such embeddings, with proxies moved close to one
            another; neither is part of this loss.
        pytorch-metric-learning: `ManifoldLoss`, the same for proxies given or drawn anew for every
            sample in every batch, not for labels.

    Args:
        num_classes: labels are 0..num_classes-1.
        embedding_dim: D.
        num_proxies: K >= 2; None gives every class its own. Classes that share a proxy are drawn
            together.
        context_weight: λ >= 0.
        alpha: α in (0, 1), the probability that a walk continues.
        margin: m, in units of F and of the cosine of its rows.
        lr: learning rate of the proxies, which have no weight decay.
        seed: of the draw of the proxies' classes.
        reducer: of the term `samples`; None is the mean.
        init: fills the proxies in place, see torch.nn.init; None is normal of deviation 1.
    """

    proxy_of_class: Tensor

    def __init__(
        self,
        num_classes: Size,
        embedding_dim: Size,
        num_proxies: Annotated[int, Ge(2), Le(2**24)] | None = None,
        context_weight: NonNegativeFloat = 1.0,
        alpha: OpenFraction = 0.8,
        margin: float = 5e-4,
        lr: NonNegativeFloat = 5e-4,
        seed: Seed = 0,
        reducer: Reducer | None = None,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        num_proxies = num_classes if num_proxies is None else num_proxies
        if num_proxies < 2:
            raise ValueError(f"num_proxies must be at least 2, got {num_proxies}")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
        if context_weight < 0:
            raise ValueError(f"context_weight must not be negative, got {context_weight}")
        self.num_classes, self.lr = num_classes, lr
        self.context_weight, self.alpha, self.margin = context_weight, alpha, margin
        self.proxies = init_prototypes(num_proxies, embedding_dim, init=init or nn.init.normal_)
        order = torch.randperm(num_classes, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("proxy_of_class", order % num_proxies)
        self.reducer = reducer or Mean()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.proxies], "lr": self.lr, "weight_decay": 0.0}]

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        own = self.proxy_of_class[labels.long()][:, None]
        with torch.autocast(embeddings.device.type, enabled=False):
            similarities = Cosine().similarity(torch.cat([to_float32(embeddings), self.proxies]))
            walks = self._walks(similarities)
            samples, proxies = walks[: len(labels)], walks[len(labels) :]
            lengths = torch.linalg.vector_norm(walks, dim=1).split([len(samples), len(proxies)])
            context = self._n_pair(samples @ proxies.T / torch.outer(*lengths), own)
        intrinsic = self._n_pair(walks[: len(labels), len(labels) :], own)
        losses = intrinsic + self.context_weight * context
        weights = sample_weights(tuples, labels)
        return self.reducer(labels, samples=weighted(losses, weights))

    def _walks(self, cosines: Tensor) -> Tensor:
        """F of all samples and proxies; its matrix is symmetric, with eigenvalues above 1 - α."""
        diagonal = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
        affinities = (2 * cosines.relu()).exp().masked_fill(diagonal, 0)
        root = (self.alpha / affinities.sum(dim=1)).sqrt()
        onward = root[:, None] * affinities * root
        return (1 - self.alpha) * inverse_of_positive_definite(diagonal.to(onward) - onward)

    def _n_pair(self, similarities: Tensor, own: Tensor) -> Tensor:
        """log(1 + Σ exp(excess)) over the proxies whose excess over the own one is not negative."""
        excess = similarities - similarities.gather(1, own) + self.margin
        others = torch.ones_like(excess, dtype=torch.bool).scatter(1, own, False)
        return log1p_sum_exp(excess, where=others & (excess >= 0))
