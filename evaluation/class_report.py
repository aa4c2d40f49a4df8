"""Which classes are hard, and what they are taken for."""

from collections import Counter

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

Counts = Int[np.ndarray, " Q"]

COLUMNS = ("class", "queries", "recall@1", "average_precision", "taken_for")
MAX_LISTED = 3  # most frequent confusions that are listed


def class_report(
    labels: Counts,
    first_hits: Counts,
    average_precisions: Float[np.ndarray, " Q"],
    nearest_labels: Counts,
    class_names: list[str],
) -> pd.DataFrame:
    """One row per class, hardest first: by Recall@1, then average precision, then name.

    `taken_for` lists the classes of the wrong nearest neighbours as `name (queries)`, the most
    frequent first; equally frequent ones by name.

    Args:
        labels: class of each query, an index into `class_names`.
        first_hits: rank of the first relevant item, from 1.
        average_precisions: of each query.
        nearest_labels: class of the nearest neighbour of each query.
    """
    rows = []
    for label in np.unique(labels):
        in_class = labels == label
        confused = [class_names[other] for other in nearest_labels[in_class] if other != label]
        counts = sorted(Counter(confused).items(), key=lambda item: (-item[1], item[0]))
        confused_with = ", ".join(f"{name} ({count})" for name, count in counts[:MAX_LISTED])
        recall = float((first_hits[in_class] == 1).mean())
        precision = float(average_precisions[in_class].mean())
        rows.append((class_names[label], int(in_class.sum()), recall, precision, confused_with))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(list(COLUMNS[2:4] + COLUMNS[:1]), ignore_index=True)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown; numbers with three digits after the point."""
    lines = [list(table.columns), ["---"] * len(table.columns)]
    lines += [[format_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def format_cell(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text.replace("|", r"\|")
