"""Verification report: thresholds of same or different decisions as JSON, tables and figures."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.files import write_text_atomically
from evaluation.class_report import markdown
from evaluation.figures.roc import Band, det_figure, roc_figure
from evaluation.figures.style import save
from evaluation.verification.verification import (
    CONFIDENCE,
    EXPECTED_MATCHES,
    MIN_CLASSES,
    AtThreshold,
    Estimate,
    Interval,
    RocCurve,
    Verification,
)

KINDS = ("pdf", "png")
BAND_POINTS = 100


@dataclass(frozen=True)
class VerificationReport:
    """Verification report: what is written and printed.

    Attributes:
        of: what was verified, such as `test images of <run>`.
        chosen: the threshold that decides, on which `verification.given` reports; None without one.
        chosen_on: how it was chosen, or why there is none.
        class_names: name of each label.
        settings: what the numbers depend on besides the images.
    """

    of: str
    verification: Verification
    chosen: Estimate | None
    chosen_on: str
    class_names: Sequence[str]
    settings: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write threshold.json, threshold.md, roc.csv, classes.csv and the figures."""
        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(as_json(self), indent=2, allow_nan=False) + "\n"
        write_text_atomically(folder / "threshold.json", content)
        text = "\n".join([f"{self.of}\n", markdown(table(self)), *notes(self)])
        write_text_atomically(folder / "threshold.md", f"{text}\n")
        curve = self.verification.curve
        columns = {"threshold": curve.thresholds, "fmr": curve.fmr, "tmr": curve.tmr}
        write_text_atomically(folder / "roc.csv", pd.DataFrame(columns).to_csv(index=False))
        for at in self.verification.given:
            write_text_atomically(folder / "classes.csv", classes(self, at).to_csv(index=False))
        for name, figure in figures(self.verification).items():
            for kind in KINDS:
                save(figure, folder / f"{name}.{kind}")


def as_json(report: VerificationReport) -> dict[str, Any]:
    """The content of threshold.json; an interval is null where there are too few classes."""
    found = report.verification
    suggested = None
    for at in found.given:
        assert report.chosen is not None
        suggested = {
            "threshold": estimate(report.chosen),
            "fmr": estimate(at.fmr),
            "tmr": estimate(at.tmr),
        }
    return {
        "of": report.of,
        "decision": "a pair matches if the cosine similarity of its embeddings > threshold",
        "suggested": suggested,
        "chosen_on": report.chosen_on,
        "by_fmr": [
            {"fmr": at.fmr, "threshold": estimate(at.threshold), "tmr": estimate(at.tmr)}
            for at in found.by_fmr
        ],
        "too_few_pairs_for_fmr": found.unsupported,
        "eer": {**estimate(found.eer), "threshold": found.eer_threshold},
        "opis": found.opis,
        "classes": found.num_classes,
        "negative_pairs": found.num_pairs.negatives,
        "positive_pairs": found.num_pairs.positives,
        "confidence": CONFIDENCE,
        **report.settings,
    }


def estimate(number: Estimate) -> dict[str, Any]:
    """A number with its interval as JSON."""
    return {"value": number.value, "interval": number.interval}


def table(report: VerificationReport) -> pd.DataFrame:
    """One row for each operating point, as it is printed."""
    found = report.verification
    rows = [
        (f"FMR {percent(at.fmr)}", threshold(at.threshold), percent(at.fmr), rate(at.tmr))
        for at in found.by_fmr
    ]
    eer = found.eer
    tmr = Estimate(1 - eer.value, eer.interval and (1 - eer.interval[1], 1 - eer.interval[0]))
    rows.append(("equal error rate", f"{found.eer_threshold:.4f}", rate(eer), rate(tmr)))
    for at in found.given:
        assert report.chosen is not None
        rows.append((report.chosen_on, threshold(report.chosen), rate(at.fmr), rate(at.tmr)))
    return pd.DataFrame(rows, columns=["operating point", "threshold", "FMR", "TMR"])


def notes(report: VerificationReport) -> Iterator[str]:
    """What the table does not say, one sentence a line."""
    found = report.verification
    negatives, positives = found.num_pairs
    yield (
        f"{found.num_classes} classes, {negatives:,} negative and {positives:,} positive pairs. "
        "A pair matches if its cosine similarity is greater than the threshold."
    )
    if found.curve.resampled is not None:
        yield f"[ , ] is the {CONFIDENCE:.0%} interval over classes (bootstrap of classes)."
    else:
        yield f"There are no intervals: they need at least {MIN_CLASSES} classes."
    yield f"Operating-point inconsistency over classes (OPIS): {found.opis:.5f}."
    for fmr in found.unsupported:
        needed = round(EXPECTED_MATCHES / fmr)
        yield f"FMR {percent(fmr)} is left out: it needs {needed:,} negative pairs."
    for at in found.given:
        yield from spread(report, at)
    if report.chosen is None:
        yield f"No threshold is suggested: {report.chosen_on}."


def spread(report: VerificationReport, at: AtThreshold) -> Iterator[str]:
    """How differently the classes fare at a threshold."""
    rows = classes(report, at)
    for column, is_worst in (("tmr", np.nanargmin), ("fmr", np.nanargmax)):
        rates = rows[column].to_numpy()
        worst = int(is_worst(rates))
        low, median, high = map(percent, np.nanquantile(rates, [0.05, 0.5, 0.95]))
        yield (
            f"{column.upper()} of single classes: median {median}, 5th to 95th percentile {low} to "
            f"{high}, worst {percent(rates[worst])} of {rows['class'].iloc[worst]}."
        )


def classes(report: VerificationReport, at: AtThreshold) -> pd.DataFrame:
    """Rates of each class at a threshold, the lowest true match rate first."""
    names = [report.class_names[label] for label in at.classes.tolist()]
    rows = pd.DataFrame({"class": names, "tmr": at.class_tmr.numpy(), "fmr": at.class_fmr.numpy()})
    return rows.sort_values(["tmr", "fmr", "class"], ascending=[True, False, True])


def figures(found: Verification) -> dict[str, Any]:
    """The ROC and the DET figure."""
    curve = found.curve
    points = [(at.threshold.value, at.fmr, at.tmr.value) for at in found.by_fmr]
    band = band_of(curve)
    return {
        "roc": roc_figure(curve.fmr, curve.tmr, points, band),
        "det": det_figure(curve.fmr, curve.tmr, found.eer.value, band),
    }


def band_of(curve: RocCurve) -> Band | None:
    """The interval of the true match rate at false match rates between the lowest and 1."""
    if curve.resampled is None:
        return None
    rates = np.geomspace(curve.fmr[curve.fmr > 0].min(), 1, BAND_POINTS)
    resampled = zip(*(rate.numpy() for rate in curve.resampled), strict=True)
    at_rates = np.array([np.interp(rates, fmr[::-1], tmr[::-1]) for fmr, tmr in resampled])
    low, high = np.quantile(at_rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return rates, (low, high)


def threshold(number: Estimate) -> str:
    return f"{number.value:.4f}" + between(number.interval, "{:.3f}")


def rate(number: Estimate) -> str:
    return percent(number.value) + between(number.interval, "{:.3g}", scale=100)


def between(interval: Interval, form: str, scale: float = 1) -> str:
    """` [low, high]`, or nothing."""
    if interval is None:
        return ""
    low, high = (form.format(scale * end) for end in interval)
    return f" [{low}, {high}]"


def percent(share: float) -> str:
    return f"{100 * share:.3g}%"
