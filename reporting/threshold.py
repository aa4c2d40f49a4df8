"""Threshold: chooses the similarity above which two images are the same, and decides with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from annotated_types import Ge, Gt, Le, Lt

from core.errors import UserError
from core.files import read_json
from core.ranges import PositiveInt, Seed
from datasets.index_file import read_rows
from engine.config.errors import ConfigurationError
from engine.config.names import Text
from engine.embeddings.labelled_embeddings import LabelledEmbeddings
from engine.embeddings.verification_source import NO_VALIDATION, VerificationSource
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.knn import nearest_neighbors
from evaluation.search.space import normalize_for_search
from evaluation.verification.near_duplicates import near_duplicates
from evaluation.verification.verification import FMRS, Estimate, Verification, verify
from reporting.verification import VerificationReport, percent

SMALL_GROUP, LARGE_SHARE = 10, 0.05  # a larger group is probably no group of duplicates
Similarity = Annotated[float, Ge(-1), Le(1)]


@dataclass(frozen=True)
class ThresholdSettings:
    """conf/threshold.yaml, without `bootstrap`."""

    run: Text | None
    embeddings: Text | None
    split: Literal["test", "val"]
    fmr: Annotated[float, Gt(0), Lt(1)]
    choose_on: Literal["val", "half"] | None
    threshold: Similarity | Text | None
    pairs: Text | None
    duplicates: Text | None
    out: Text | None
    trust: Text | Sequence[Text]


@dataclass(frozen=True)
class Bootstrap:
    """The keys of `bootstrap`."""

    resamples: PositiveInt
    seed: Seed


class Choice(NamedTuple):
    """Choice: the images that are tested, the threshold that is tested on them, and its origin."""

    tested: LabelledEmbeddings
    threshold: Estimate | None
    origin: str  # or why there is no threshold


def report_thresholds(
    source: VerificationSource, settings: ThresholdSettings, bootstrap: Bootstrap
) -> VerificationReport:
    """Verify the images of a source, and the threshold that is given or chosen.

    Raises:
        UserError: there are no positive or no negative pairs, or a threshold is needed and none
            can be chosen.
    """
    choice = choose(source, settings, bootstrap)
    needed = settings.choose_on or settings.pairs or settings.duplicates
    if needed and choice.threshold is None:
        raise UserError(f"{choice.origin}; or threshold=<similarity> names one")
    given = [] if choice.threshold is None else [choice.threshold.value]
    found = verified(choice.tested, settings.fmr, given, bootstrap)
    numbers = {
        "images": len(choice.tested.labels),
        "resamples": bootstrap.resamples,
        "seed": bootstrap.seed,
    }
    names = choice.tested.class_names
    return VerificationReport(source.name, found, choice.threshold, choice.origin, names, numbers)


def choose(source: VerificationSource, settings: ThresholdSettings, bootstrap: Bootstrap) -> Choice:
    """The threshold that is given, or that other classes than the tested ones choose."""
    tested = source.tested()
    if settings.threshold is not None:
        return Choice(
            tested, Estimate(given_threshold(settings.threshold), None), "given threshold"
        )
    if settings.choose_on == "half":
        chosen, tested = tested.halves(bootstrap.seed)
        return chosen_by(chosen, tested, "other classes", settings.fmr, bootstrap)
    validation = source.validation()
    if validation is not None:
        return chosen_by(validation, tested, "validation classes", settings.fmr, bootstrap)
    return Choice(tested, None, NO_VALIDATION)


def chosen_by(
    images: LabelledEmbeddings,
    tested: LabelledEmbeddings,
    which: str,
    fmr: float,
    bootstrap: Bootstrap,
) -> Choice:
    """The threshold of a false match rate on some classes, or of the least that they support."""
    found = verified(images, fmr, [], bootstrap)
    if not found.by_fmr:
        return Choice(tested, None, f"the {which} have too few pairs for any false match rate")
    at = next((at for at in found.by_fmr if at.fmr == fmr), found.by_fmr[-1])
    origin = f"FMR {percent(at.fmr)} of {found.num_classes} {which}"
    return Choice(tested, at.threshold, origin)


def verified(
    images: LabelledEmbeddings, fmr: float, thresholds: Sequence[float], bootstrap: Bootstrap
) -> Verification:
    """Verification at the usual false match rates and `fmr`."""
    try:
        return verify(
            images.pairs,
            fmrs=sorted({*FMRS, fmr}, reverse=True),
            thresholds=thresholds,
            resamples=bootstrap.resamples,
            seed=bootstrap.seed,
        )
    except UndefinedError as error:
        raise UserError(
            f"{error}; a threshold needs at least two classes, and two images of one of them"
        ) from error


def given_threshold(given: float | str) -> float:
    """The threshold that is given as a number, or as the threshold.json of an earlier command."""
    if not isinstance(given, str):
        return float(given)
    path = Path(given).expanduser()
    content = read_json(path, "python -m scripts.threshold writes such a file")
    suggested = content.get("suggested")
    if not isinstance(suggested, dict):
        raise ConfigurationError(f"{path} suggests no threshold; threshold=<similarity> names one")
    return float(suggested["threshold"]["value"])


def decided_pairs(source: VerificationSource, file: Path, threshold: float) -> pd.DataFrame:
    """The rows of a CSV file of pairs, with their similarity and whether they are the same.

    Paths of image files are relative to the folder of the file.

    Args:
        file: with columns first and second.
        threshold: a pair is the same if its cosine similarity is greater.
    """
    rows = read_rows(file, ["first", "second"])
    columns = [
        [source.resolve(file.parent, path) for path in rows[name]] for name in ("first", "second")
    ]
    paths = sorted({*columns[0], *columns[1]})
    position = {path: index for index, path in enumerate(paths)}
    points = normalize_for_search(source.embed(paths), "cosine")
    first, second = (points[[position[path] for path in column]] for column in columns)
    similarity = (first * second).sum(dim=1)
    return rows.assign(similarity=similarity.numpy(), same=(similarity > threshold).numpy())


def duplicate_groups(images: LabelledEmbeddings, threshold: float) -> pd.DataFrame:
    """The images that are similar to another one, by group, the largest first.

    Each row has the nearest other image and its similarity, which is above the threshold.
    """
    groups = near_duplicates(images.embeddings, threshold)
    sizes = np.bincount(groups)[groups]
    members = np.flatnonzero(sizes > 1)
    order = members[np.lexsort((members, groups[members], -sizes[members]))]
    table = pd.DataFrame({"group": pd.factorize(groups[order])[0] + 1, "size": sizes[order]})
    paths = np.array(images.paths, dtype=object)
    table["path"] = paths[order]
    if len(order):
        chosen = torch.from_numpy(order).to(images.embeddings.device)
        found = nearest_neighbors(images.embeddings[chosen], 1)
        table["nearest"] = paths[order][found.indices[:, 0].cpu().numpy()]
        table["similarity"] = 1 - found.distances[:, 0].cpu().numpy()
    return table.reindex(columns=["group", "size", "path", "nearest", "similarity"])


def group_notes(groups: pd.DataFrame, num_images: int) -> Iterator[str]:
    """What the groups of near duplicates are, one sentence a line."""
    num = groups["group"].nunique()
    yield f"Near duplicates: {len(groups):,} of {num_images:,} images, in groups: {num:,}."
    largest = int(groups["size"].max()) if num else 0
    if largest > max(SMALL_GROUP, LARGE_SHARE * num_images):
        yield (
            f"The largest group has {largest:,} images: a chain of similar pairs joins images that "
            "are not similar themselves. A higher threshold= or a lower fmr= divides it."
        )
