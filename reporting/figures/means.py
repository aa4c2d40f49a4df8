"""What figures are drawn from: mean and deviation over seeds, per dataset, method and metric."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from reporting.names import printed
from reporting.run import Run, tidy

# the ρ-regularised variants of Roth et al. 2020, by the name of the group or of the miner
REGULARISED = re.compile(r"(^|_)r_|rho_distance")


def means(runs: Sequence[Run], reading: str) -> pd.DataFrame:
    """Index dataset, method; columns (`<split>/<metric>`, `mean` or `std`); one seed has std 0."""
    numbers = tidy(runs)
    numbers = numbers[numbers.reading == reading]
    grouped = numbers.groupby(["dataset", "method", "metric"])["value"].agg(["mean", "std"])
    wide = pd.DataFrame(grouped.fillna({"std": 0.0}).unstack("metric"))
    return wide.swaplevel(axis=1).sort_index(axis=1)


def structure(table: pd.DataFrame, metric: str) -> str | None:
    """The column of a metric of the space: of the training split, as in the paper, else of test."""
    names = table.columns.get_level_values(0)
    return next((f"{s}/{metric}" for s in ("train", "test") if f"{s}/{metric}" in names), None)


def named(column: str) -> str:
    """`train/rho_spectrum@2` -> `ρ (train)`; the test split is not named."""
    split, _, metric = column.partition("/")
    return printed("metric", metric) + (f" ({split})" if split != "test" else "")


def correlation(x: "pd.Series[float]", y: "pd.Series[float]") -> float:
    """Pearson's; NaN of fewer than three points, or where one of the two does not vary."""
    both = pd.concat([x, y], axis=1).dropna().to_numpy()
    if len(both) < 3 or np.ptp(both, axis=0).min() == 0:
        return float("nan")
    return float(np.corrcoef(both.T)[0, 1])


def regularised(method: str) -> bool:
    return bool(REGULARISED.search(method))
