"""Rank search: the exact rank of every relevant item, without an N x N matrix.

The i-th nearest relevant item of a query has rank

    i + (number of irrelevant gallery items at least as near),

so that only the relevant items are sorted, and the ranking is not truncated at some k.
"""

from collections.abc import Iterator

import torch

from core.types import Embeddings, Labels
from evaluation.metrics.ranking import Ranking
from evaluation.search.backend import (
    Backend,
    check_backend,
    choose_precisions,
    uses_faiss,
    uses_two_stage,
)
from evaluation.search.chunks import MEMORY
from evaluation.search.dense_ranks import dense_ranks
from evaluation.search.faiss_ranks import faiss_ranks
from evaluation.search.gallery_groups import Indices
from evaluation.search.ignored_items import Groups
from evaluation.search.relevance_index import RelevanceIndex
from evaluation.search.space import Distance, normalize_for_search
from evaluation.search.two_stage.ranks import Ranks, two_stage_ranks


def relevant_ranks(
    embeddings: Embeddings,
    labels: Labels,
    queries: Indices | None = None,
    gallery: Indices | None = None,
    *,
    groups: Groups | None = None,
    distance: Distance = "cosine",
    backend: Backend = "auto",
    memory: int = MEMORY,
) -> Iterator[tuple[Indices, Ranking]]:
    """Rank the gallery for every query with a relevant item, a chunk of queries at a time.

    Yields `(indices of the queries, their Ranking)`, queries with few relevant items first. A
    query in the gallery is not ranked for itself; a duplicate of it is. The two-stage search
    compares in float64. The ranks of `torch` and `faiss` can differ from it for items whose
    similarities are equal up to float32 rounding.

    Args:
        queries: indices into `embeddings`; None means all of them.
        gallery: indices into `embeddings`, each once; None means all of them.
        groups: of the samples; a query ignores the items of its group, by default itself.
        distance: `cosine` or `euclidean`.
        backend: `torch`, `two_stage` (CPU only), `faiss`, or `auto`: the fastest.
        memory: working memory in bytes.
    """
    check_backend(backend, embeddings.device)
    all_samples = torch.arange(len(labels), device=labels.device)
    queries = all_samples if queries is None else queries
    gallery = all_samples if gallery is None else gallery
    relevance = RelevanceIndex(labels, queries, gallery, groups)
    if len(relevance.queries_with_positives()) == 0:
        return
    points = normalize_for_search(embeddings.detach(), distance)
    gallery_points = points[gallery]
    query_points = gallery_points if queries.equal(gallery) else points[queries]
    for selected, ranks in search_ranks(
        backend, relevance, query_points, gallery_points, distance, memory
    ):
        relevant = relevance.num_relevant[selected]
        class_size = relevant + relevance.in_gallery[selected]
        yield queries[selected], Ranking(ranks, relevant, class_size)


def search_ranks(
    backend: Backend,
    relevance: RelevanceIndex,
    queries: Embeddings,
    gallery: Embeddings,
    distance: Distance,
    memory: int,
) -> Iterator[Ranks]:
    """Yield queries and their ranks; another search ranks the queries that faiss leaves open."""
    remaining = relevance.queries_with_positives()
    if uses_faiss(backend, gallery.device):
        remaining = yield from faiss_ranks(relevance, queries, gallery, distance, memory)
    if uses_two_stage(backend, gallery.device):
        precisions = choose_precisions(len(remaining) * len(gallery))
        yield from two_stage_ranks(
            relevance, remaining, queries, gallery, distance, precisions, memory
        )
    else:
        yield from dense_ranks(relevance, remaining, queries, gallery, distance, memory)
