"""Search of a faiss index with parameters, also where torch utilities of faiss are loaded."""

from typing import Any

import numpy as np


def search_index(
    index: Any,  # noqa: ANN401
    queries: np.ndarray,
    k: int,
    parameters: Any = None,  # noqa: ANN401
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities (Q, k) and ids (Q, k) of the nearest neighbours.

    `faiss.contrib.torch_utils`, which pytorch-metric-learning imports, replaces `search` of every
    index by one that takes no parameters, and keeps this one as `search_numpy`.

    Args:
        parameters: `faiss.SearchParameters` of the kind of the index.
    """
    search = getattr(index, "search_numpy", index.search)
    similarities, ids = search(queries, k, params=parameters)
    return similarities, ids
