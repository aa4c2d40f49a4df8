"""Triplets that satisfy a condition, listed in blocks of bounded memory."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from core.random import SeededRandom
from core.types import Mask, Pairs, Triplets

Condition = Callable[[Tensor, Tensor], Mask]  # anchors (B,), positives (B,) -> negatives (B, M)

BLOCK = 2**22  # triplets compared at once; about 100 MB of working memory


def triplets_where(
    condition: Condition, pairs: Pairs, most: int | None, draw: SeededRandom
) -> Triplets:
    """Lists the triplets of `pairs` that satisfy `condition`, at most `most` of them.

    Of T > `most` such triplets, each is drawn with probability most / T, without replacement: with
    the triplets in order and a random offset, every (T / most)-th is taken, which spreads the
    sample evenly over anchors and positives. It takes two passes over all triplets, or one if
    `most` is None, in blocks. The number of triplets depends on the data: the host waits for it.

    Args:
        condition: takes anchors (B,) and positives (B,) of B positive pairs and returns a mask
            (B, M) of the references that form such a triplet with each; references that are no
            negatives are ignored.
        most: > 0; None is no limit.
        draw: draws the offset.
    """
    anchors, positives = pairs.positives.nonzero(as_tuple=True)
    size = max(1, BLOCK // pairs.negatives.shape[1])
    blocks = list(zip(torch.split(anchors, size), torch.split(positives, size), strict=True))

    def satisfying() -> Iterator[tuple[Tensor, Tensor, Mask]]:
        for a, p in blocks:
            yield a, p, pairs.negatives[a] & condition(a, p)

    if most is None:
        return _joined(_listed(*block) for block in satisfying())
    total = torch.stack([mask.sum() for *_, mask in satisfying()]).sum().clamp(min=1)
    wanted = total.clamp(max=most)
    offset = (draw.uniform(like=anchors) * total).long()
    seen, found = 0, []
    for block in satisfying():
        listed = _listed(*block)
        ranks = torch.arange(seen, seen + len(listed.anchors), device=anchors.device)
        taken = (ranks * wanted + offset) % total >= total - wanted
        found.append(Triplets(*(part[taken] for part in listed[:3])))
        seen += len(ranks)
    return _joined(found)


def _listed(anchors: Tensor, positives: Tensor, negatives: Mask) -> Triplets:
    rows, columns = negatives.nonzero(as_tuple=True)
    return Triplets(anchors[rows], positives[rows], columns)


def _joined(parts: Iterable[Triplets]) -> Triplets:
    return Triplets(*(torch.cat(indices) for indices in zip(*(p[:3] for p in parts), strict=True)))
