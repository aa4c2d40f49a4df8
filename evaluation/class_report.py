"""Class report: retrieval scores of each class and the classes it is confused with."""

from collections import Counter

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

Counts = Int[np.ndarray, " Q"]

COLUMNS = ("class", "queries", "recall@1", "average_precision", "taken_for")
MAX_LISTED = 3  # number of confused classes that are listed, the most frequent ones


def class_report(
    labels: Counts,
    first_hits: Counts,
    average_precisions: Float[np.ndarray, " Q"],
    nearest_labels: Counts,
    class_names: list[str],
) -> pd.DataFrame:
    """Class report: one row per class, sorted by Recall@1, average precision and name, ascending.

    The column `taken_for` lists the classes of wrong nearest neighbours as `name (queries)`,
    sorted by frequency, then by name.

    Args:
        labels: class of each query, an index into `class_names`.
        first_hits: rank of the first relevant item, from 1.
        average_precisions: average precision of each query.
        nearest_labels: class of the nearest neighbour of each query.
        class_names: names of all classes.
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
    """The table in Markdown; floats have three decimals."""
    lines = [list(table.columns), ["---"] * len(table.columns)]
    lines += [[format_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def format_cell(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text.replace("|", r"\|")
