"""What metrics share: an embedded set and its neighbours, clusters and spectrum."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.clustering.assignment import Clusters
from evaluation.metrics.ranking import Ranking
from evaluation.metrics.spectrum import Spectrum, singular_values
from evaluation.search.backend import Backend
from evaluation.search.knn import Neighbors, nearest_neighbors
from evaluation.search.pairs import Pairs
from evaluation.search.ranks import relevant_ranks
from evaluation.search.space import Distance, normalize_for_search


class Clustering(Protocol):
    """Puts points into `num_clusters` clusters, such as `evaluation.clustering.kmeans.kmeans`."""

    def __call__(
        self, points: Embeddings, num_clusters: int, *, seed: int, memory: int
    ) -> Clusters: ...


@dataclass(frozen=True)
class SearchConfig:
    """How neighbours are found and clusters formed; the arguments are those of `Evaluation`."""

    distance: Distance
    clustering: Clustering
    num_clusters: int | None
    clustering_seeds: Sequence[int]
    memory: int
    depth: int = 1  # neighbours of a query that some metric looks at
    backend: Backend = "auto"


class EmbeddedSet:
    """The things a metric may ask for by the name of its parameters, computed when first used.

    Raises:
        ValueError: embeddings or labels of the wrong shape, empty or not finite.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        is_query: Bool[Tensor, " N"] | None,
        is_gallery: Bool[Tensor, " N"] | None,
        config: SearchConfig,
    ) -> None:
        check_embeddings(embeddings, labels)
        self.embeddings, self.labels, self.config = embeddings, labels, config
        self.queries = flagged_indices(is_query, labels)
        self.gallery = flagged_indices(is_gallery, labels)

    def rankings(self) -> Iterator[tuple[Int[Tensor, " Q"], Ranking]]:
        """The ranking of all queries with something to find, in parts."""
        return relevant_ranks(
            self.embeddings,
            self.labels,
            self.queries,
            self.gallery,
            distance=self.config.distance,
            backend=self.config.backend,
            memory=self.config.memory,
        )

    @cached_property
    def neighbors(self) -> Neighbors:
        """The nearest neighbours of every query, as deep as the deepest metric looks."""
        return nearest_neighbors(
            self.embeddings,
            self.config.depth,
            self.queries,
            self.gallery,
            distance=self.config.distance,
            backend=self.config.backend,
            memory=self.config.memory,
        )

    @cached_property
    def clusterings(self) -> list[Clusters]:
        """One clustering of the whole set, queries and gallery, per seed."""
        config = self.config
        points = normalize_for_search(self.embeddings, config.distance)
        num_clusters = config.num_clusters or len(torch.unique(self.labels))
        return [
            config.clustering(points, num_clusters, seed=seed, memory=config.memory)
            for seed in config.clustering_seeds
        ]

    @cached_property
    def pairs(self) -> Pairs:
        """Every query with every gallery item, never all at once."""
        return Pairs(
            self.embeddings,
            self.labels,
            self.queries,
            self.gallery,
            distance=self.config.distance,
            memory=self.config.memory,
        )

    @cached_property
    def spectrum(self) -> Spectrum:
        """Singular values of the embeddings as the model put them out."""
        return singular_values(self.embeddings)

    @cached_property
    def centered_spectrum(self) -> Spectrum:
        """Singular values of the embeddings minus their mean."""
        return singular_values(self.embeddings, centered=True)


def check_embeddings(embeddings: Embeddings, labels: Labels) -> None:
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1] or len(labels) == 0:
        shapes = f"{tuple(embeddings.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"embeddings (N, D) and labels (N,) with N > 0 expected, got {shapes}")
    not_finite = int((~embeddings.isfinite().all(dim=1)).sum())
    if not_finite:
        raise ValueError(f"{not_finite} of {len(labels)} embeddings are not finite")


def flagged_indices(flags: Bool[Tensor, " N"] | None, labels: Labels) -> Int[Tensor, " Q"]:
    """Where `flags` is true; None chooses everything."""
    if flags is None:
        return torch.arange(len(labels), device=labels.device)
    if flags.shape != labels.shape:
        raise ValueError(f"{len(labels)} samples, but flags of shape {tuple(flags.shape)}")
    return flags.to(labels.device).nonzero().squeeze(1)
