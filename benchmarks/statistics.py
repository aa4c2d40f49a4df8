"""Simulation of the tests against the best method: how often they err, and what they can see.

Each repetition draws one column of a table: Recall@1 of k methods over five seeds, around 70 %,
with a noise of 1.4 points, as in results/omniglot. Either all methods are equal, or a fifth of them
is the best and the others are 1, 2, 5 and 10 points worse. The best is chosen from the drawn
values, as in a table.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm  # type: ignore[attr-defined]

from benchmarks.multiple_comparisons import TESTS, Values
from core.files import write_text_atomically

SEEDS = 5
NOISE = 1.4  # standard deviation over seeds, the median of results/omniglot for Recall@1
STEPS = (0, 1, 2, 5, 10)  # points below the best
SPREADS = ("equal", "measured", "18 times")
SEED_EFFECTS = (0.6, 1.4)  # standard deviation of what all methods of a seed share; 0.56 measured


def deviations(methods: int, spread: str) -> Values:
    """Standard deviation of each method: equal, as NMI in results/omniglot, or up to 18 times."""
    if spread == "equal":
        return np.full(methods, NOISE)
    if spread == "measured":  # log-normal, 0.32: the sample deviations without their own noise
        logs = 0.32 * norm.ppf((np.arange(methods) + 0.5) / methods)
    else:
        logs = np.linspace(-0.5, 0.5, methods) * np.log(18)
    return np.asarray(NOISE * np.exp(logs))


def draw(
    rng: np.random.Generator, below: Values, spread: str, seed_effect: float, repetitions: int
) -> Values:
    """Values in percent; every repetition gives the deviations to other methods."""
    methods = len(below)
    noise = rng.permuted(np.tile(deviations(methods, spread), (repetitions, 1)), axis=1)
    own = noise[..., None] * rng.normal(size=(repetitions, methods, SEEDS))
    shared = seed_effect * rng.normal(size=(repetitions, 1, SEEDS))
    return 70 - below[:, None] + own + shared


def simulate(methods: int, repetitions: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """One row for each world and test: shares of methods that are told apart, in percent."""
    rng = np.random.default_rng(seed)
    worlds = {"equal": np.zeros(methods), "graded": np.repeat(STEPS, methods // len(STEPS)) * 1.0}
    for (means, below), spread, effect in product(worlds.items(), SPREADS, SEED_EFFECTS):
        values = draw(rng, below, spread, effect, repetitions)
        for name, test in TESTS.items():
            apart = test(values)
            of_equal = apart[:, below == 0]
            yield {
                "methods": methods,
                "means": means,
                "deviations": spread,
                "seed_effect": effect,
                "test": name,
                "false_each": round(100 * of_equal.mean(), 2),
                "false_any": round(100 * of_equal.any(axis=1).mean(), 2),
                **{
                    f"apart_{step}": round(100 * apart[:, below == step].mean(), 2)
                    for step in STEPS[1:]
                    if (below == step).any()
                },
                "repetitions": repetitions,
            }


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("statistics", help="errors and power of the tests of a table")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    parser.add_argument("--methods", nargs="+", type=int, default=[5, 55], help="multiples of 5")
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated columns")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    rows = [row for k in chosen.methods for row in simulate(k, chosen.repetitions)]
    table = pd.DataFrame(rows)
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(chosen.out / "statistics.csv", table.to_csv(index=False))
    print(summary(table))


def summary(table: pd.DataFrame) -> str:
    """Markdown table at the measured seed effect: errors of equal methods, power of graded ones."""
    heads = ["methods", "deviations", "test", "each", "any", "1", "2", "5", "10"]
    lines = ["| " + " | ".join(heads) + " |", "|---:|---|---|" + "---:|" * 6]
    own = table[table.seed_effect == SEED_EFFECTS[0]]
    for keys, rows in own.groupby(["methods", "deviations", "test"], sort=False):
        errors, power = (rows[rows.means == means].iloc[0] for means in ("equal", "graded"))
        numbers = [errors.false_each, errors.false_any, *(power[f"apart_{s}"] for s in STEPS[1:])]
        cells = [*map(str, keys), *(f"{number:.1f}" for number in numbers)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
