"""Which methods cannot be told apart from the best one: three tests over seeds.

`python -m scripts.benchmark statistics` simulates how often each of them errs; docs/results.md has
the result and says why `moderated` is the default.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import dunnett, studentized_range  # type: ignore[attr-defined]

from reporting.statistics import LEVEL, BySeed, holm, paired, ranked

Test = Literal["moderated", "dunnett", "paired"]
TESTS: tuple[Test, ...] = get_args(Test)
NAMES: dict[Test, str] = {
    "moderated": "studentized range of all methods, moderated variances",
    "dunnett": "Dunnett's test",
    "paired": "paired t-test over seeds, Holm",
}
Array = npt.NDArray[np.float64]
Columns = Mapping[str, BySeed]


class Moderated(NamedTuple):
    """Variances that are shrunk to a common one, and the degrees of freedom of each."""

    variances: Array
    freedom: Array


def not_worse(
    columns: Columns, higher_is_better: bool, test: Test = "moderated", level: float = LEVEL
) -> set[str]:
    """The best method and those that are not significantly worse.

    A method that cannot be tested, for lack of seeds, is not in the set.

    Args:
        columns: method -> seed -> value.
        test: `moderated`, `dunnett` or `paired`.
        level: of the test, for all methods together.
    """
    best = ranked(columns, higher_is_better)[0]
    p_values = P_VALUES[test](columns, best)
    return {best} | {name for name, p in p_values.items() if p >= level}


def moderated_p_values(columns: Columns, best: str) -> dict[str, float]:
    """Tests each method against the best by the studentized range of all methods.

        t_i = |x_best - x_i| / √(v_best / n_best + v_i / n_i),   p_i = P(q_{k, f} > √2 t_i)

    q is the studentized range of k methods and f the degrees of freedom by Welch and Satterthwaite,
    as in the test of Games and Howell. The range allows for the best having been chosen
    by the same data. The variances v are moderated (`moderate`): where those of the methods agree,
    the test is Tukey's; the more they differ, the closer it is to that of Games and Howell.

    Methods with one seed are not tested; p is NaN.
    """
    tested = {name: np.array(list(own.values())) for name, own in columns.items() if len(own) > 1}
    untested = dict.fromkeys(columns.keys() - {best}, float("nan"))
    if best not in tested or len(tested) < 2:
        return untested
    sizes = np.array([len(values) for values in tested.values()])
    means = np.array([values.mean() for values in tested.values()])
    variances, freedom = moderate(
        np.array([values.var(ddof=1) for values in tested.values()]), sizes - 1
    )
    place = list(tested).index(best)
    squares = variances / sizes
    errors = squares + squares[place]
    differences = np.abs(means - means[place])
    if not errors.any():  # every method has the same value for each of its seeds
        p_values = (differences == 0).astype(float)
    else:
        parts = squares**2 / freedom
        of_difference = np.minimum(errors**2 / (parts + parts[place]), (sizes - 1).sum())
        t = differences / np.sqrt(errors)
        p_values = studentized_range.sf(np.sqrt(2) * t, len(tested), of_difference)
    found = dict(zip(tested, map(float, p_values), strict=True))
    return untested | {name: p for name, p in found.items() if name != best}


def moderate(variances: Array, freedom: Array) -> Moderated:
    """Shrinks variances to a common one, by as much as they agree (Smyth 2004).

        v = (d0 s0² + d s²) / (d0 + d),  with d0 + d degrees of freedom

    d0 and s0² are those of a scaled inverse chi-squared distribution from which the true variances
    come; they are estimated from the mean and variance of log s². d0 is infinite where the s² vary
    no more than chance makes them, and all v are then the pooled variance. With five seeds and a
    common variance, the largest of 54 sample standard deviations is 6 times the smallest.

    Differences:
        limma uses the mean of s² for an infinite d0, which is the same for equal numbers of seeds,
        and raises variances of 0, where these have no part in d0 and s0².

    Args:
        variances: sample variance s² of each method, >= 0.
        freedom: degrees of freedom d of each, >= 1.
    """
    total = float(freedom.sum())
    varied = variances > 0
    half = freedom[varied] / 2
    logs = np.log(variances[varied]) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean() if varied.sum() > 1 else 0.0
    if excess < 1e-6:
        pooled = np.full_like(variances, np.average(variances, weights=freedom))
        return Moderated(pooled, np.full_like(variances, total))
    half_prior = brentq(lambda x: polygamma(1, x) - excess, 1e-9, 1e9)
    prior = np.exp(logs.mean() + digamma(half_prior) - np.log(half_prior))
    together = 2 * half_prior + freedom
    moderated = (2 * half_prior * prior + freedom * variances) / together
    return Moderated(moderated, np.minimum(together, total))


def dunnett_p_values(columns: Columns, best: str) -> dict[str, float]:
    """Dunnett's test of each method against the best, two-sided.

    It assumes independent groups of one variance, and a best method that was known before. 55
    methods take ten seconds, since scipy integrates numerically for each. Methods with one seed are
    not tested; p is NaN.
    """
    others = [name for name, own in columns.items() if name != best and len(own) > 1]
    untested = dict.fromkeys(columns.keys() - {best}, float("nan"))
    if not others or len(columns[best]) < 2:
        return untested
    groups = [np.array(list(columns[name].values())) for name in others]
    control = np.array(list(columns[best].values()))
    if not any(np.ptp(group) for group in [*groups, control]):  # no variance to test with
        equal = [float(group[0] == control[0]) for group in groups]
        return untested | dict(zip(others, equal, strict=True))
    found = dunnett(*groups, control=control, rng=np.random.default_rng(0)).pvalue
    return untested | dict(zip(others, map(float, found), strict=True))


def paired_p_values(columns: Columns, best: str) -> dict[str, float]:
    """Paired t-test of each method against the best, Holm-corrected for their number.

    p is NaN for fewer than two common seeds.
    """
    others = [name for name in columns if name != best]
    adjusted = holm([paired(columns[best], columns[name]).p for name in others])
    return dict(zip(others, adjusted, strict=True))


P_VALUES: dict[Test, Callable[[Columns, str], dict[str, float]]] = {
    "moderated": moderated_p_values,
    "dunnett": dunnett_p_values,
    "paired": paired_p_values,
}
