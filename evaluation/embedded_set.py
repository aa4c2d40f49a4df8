"""Embedded set: embeddings and labels with the neighbours, clusters and spectrum of metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from core.types import Embeddings, Labels
from evaluation.clustering.clusters import Clusters
from evaluation.metrics.ranking import Ranking
from evaluation.metrics.spectrum import Spectrum, singular_values
from evaluation.search.backend import Backend
from evaluation.search.ignored_items import Groups
from evaluation.search.knn import nearest_neighbors
from evaluation.search.neighbors import Neighbors
from evaluation.search.pairs import Pairs
from evaluation.search.ranks import relevant_ranks
from evaluation.search.space import Distance, normalize_for_search


class Clustering(Protocol):
    """Clustering algorithm: assigns points to `num_clusters` clusters, as k-means does."""

    def __call__(
        self, points: Embeddings, num_clusters: int, *, seed: int, memory: int
    ) -> Clusters: ...


@dataclass(frozen=True)
class SearchConfig:
    """Search configuration: how neighbours and clusters are computed; arguments of `Evaluator`."""

    distance: Distance
    clustering: Clustering
    num_clusters: int | None
    clustering_seeds: Sequence[int]
    memory: int
    depth: int = 1  # largest number of neighbours per query that a metric uses
    backend: Backend = "auto"


class EmbeddedSet:
    """Embedded set: provides the inputs of metrics as attributes, computed on first use.

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
        groups: Groups | None = None,
    ) -> None:
        check_embeddings(embeddings, labels)
        self.embeddings, self.labels, self.config = embeddings, labels, config
        self.queries = flagged_indices(is_query, labels)
        self.gallery = flagged_indices(is_gallery, labels)
        self.groups = groups if groups is None else groups.to(labels.device)

    def rankings(self) -> Iterator[tuple[Int[Tensor, " Q"], Ranking]]:
        """Yield the rankings of all queries with a relevant item, a chunk of queries at a time."""
        return relevant_ranks(
            self.embeddings,
            self.labels,
            self.queries,
            self.gallery,
            groups=self.groups,
            distance=self.config.distance,
            backend=self.config.backend,
            memory=self.config.memory,
        )

    @cached_property
    def neighbors(self) -> Neighbors:
        """The `config.depth` nearest neighbours of every query."""
        return nearest_neighbors(
            self.embeddings,
            self.config.depth,
            self.queries,
            self.gallery,
            groups=self.groups,
            distance=self.config.distance,
            backend=self.config.backend,
            memory=self.config.memory,
        )

    @cached_property
    def clusterings(self) -> list[Clusters]:
        """One clustering per seed of all samples, queries and gallery together."""
        config = self.config
        points = normalize_for_search(self.embeddings, config.distance)
        num_clusters = config.num_clusters or len(torch.unique(self.labels))
        return [
            config.clustering(points, num_clusters, seed=seed, memory=config.memory)
            for seed in config.clustering_seeds
        ]

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs of a query and a gallery item, computed in chunks."""
        return Pairs(
            self.embeddings,
            self.labels,
            self.queries,
            self.gallery,
            groups=self.groups,
            distance=self.config.distance,
            memory=self.config.memory,
        )

    @cached_property
    def spectrum(self) -> Spectrum:
        """Singular values of the embeddings as the model returns them."""
        return singular_values(self.embeddings)

    @cached_property
    def centered_spectrum(self) -> Spectrum:
        """Singular values of the embeddings minus their mean."""
        return singular_values(self.embeddings, centered=True)


def check_embeddings(embeddings: Embeddings, labels: Labels) -> None:
    """Raise a ValueError unless embeddings are finite, of shape (N, D), with N > 0 labels."""
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1] or len(labels) == 0:
        shapes = f"{tuple(embeddings.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"embeddings (N, D) and labels (N,) with N > 0 expected, got {shapes}")
    not_finite = int((~embeddings.isfinite().all(dim=1)).sum())
    if not_finite:
        raise ValueError(f"{not_finite} of {len(labels)} embeddings are not finite")


def flagged_indices(flags: Bool[Tensor, " N"] | None, labels: Labels) -> Int[Tensor, " Q"]:
    """Indices of the samples whose flag is true; None means all samples."""
    if flags is None:
        return torch.arange(len(labels), device=labels.device)
    if flags.shape != labels.shape:
        raise ValueError(f"{len(labels)} samples, but flags of shape {tuple(flags.shape)}")
    return flags.to(labels.device).nonzero().squeeze(1)
