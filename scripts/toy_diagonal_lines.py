"""The toy experiment of Roth et al. 2020: four classes on a diagonal, two dimensions, one circle.

    python -m scripts.toy_diagonal_lines [--out outputs/toy_diagonal_lines] [--seed 1]

Four training classes are segments of the line y = x, the test classes vertical and horizontal ones.
A network of 2-30-30-2 units embeds them on the unit circle, over 200 steps of Adam, by all triplets
(a, p, n) of a batch and d the Euclidean distance,

    base           mean d(a, p) + mean [0.1 - d(a, n)]₊
    regularised    mean [0.1 - d(a, n')]₊, where n' is p with probability 0.001, else n
    switched       the base, its negatives switched likewise
    no attraction  the regularised one without any switch

`base` and `regularised` are what the authors' script compares; it draws the spectra of their
singular values on the training points, which the regularised one makes flatter. But it also leaves
out the attraction d(a, p). The other two take the differences one at a time: it is the missing
attraction that flattens the spectrum here, not the switching. Neither this nor the recall on these
test classes, which stays where it is, is evidence that ρ-regularisation generalises better.
Writes a PNG and a PDF, `<out>.png` and `<out>.pdf`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from rich.console import Console
from rich.table import Table as Grid
from torch import Tensor, nn

from core.distance import Lp
from core.tuples import all_pairs, to_triplets
from evaluation.figures.style import COLOURS, GREY, save, styled
from evaluation.metrics.rho_spectrum import rho_spectrum
from evaluation.metrics.spectrum import singular_values

Point = tuple[float, float]
Segment = tuple[Point, Point]

TRAIN: list[Segment] = [
    ((a, a), (b, b)) for a, b in ((0.1, 0.3), (0.35, 0.55), (0.6, 0.8), (0.85, 1.05))
]
TEST: list[Segment] = [
    *(((0.2, a), (0.2, b)) for a, b in ((0.2, 0.4), (0.55, 0.85))),
    *(((a, 0.2), (b, 0.2)) for a, b in ((0.4, 0.6), (0.7, 0.9))),
]
POINTS, DRAWN = 100, 15  # on each segment, and of these
BATCH, STEPS, LR, MARGIN = 24, 200, 0.03, 0.1


class Variant(NamedTuple):
    """One of the four objectives."""

    attraction: bool
    p_switch: float


VARIANTS = {
    "base": Variant(True, 0.0),
    "regularised": Variant(False, 0.001),
    "switched": Variant(True, 0.001),
    "no attraction": Variant(False, 0.0),
}


class Outcome(NamedTuple):
    """Embeddings of the training and the test points, and the normalised spectrum of the first."""

    train: Tensor
    test: Tensor
    spectrum: Tensor
    recall: float  # @1 among the test points


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.toy_diagonal_lines",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    out = Path("outputs/toy_diagonal_lines")
    parser.add_argument("--out", type=Path, default=out, help="name of the figure, without its end")
    parser.add_argument("--seed", type=int, default=1, help="the first one; the authors' is 1")
    parser.add_argument(
        "--seeds", type=int, default=1, help="how many; the picture is of the first"
    )
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.seeds)
    outcomes = [{name: run(variant, seed) for name, variant in VARIANTS.items()} for seed in seeds]
    Console().print(table(outcomes))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        figure = picture(points(TRAIN, seeds[0])[0], points(TEST, seeds[0] + 1)[0], outcomes[0])
        for suffix in (".png", ".pdf"):
            save(figure, options.out.with_name(options.out.name + suffix))
        plt.close(figure)
    print(options.out.with_name(options.out.name + ".png"))


def points(segments: Sequence[Segment], seed: int) -> tuple[Tensor, Tensor]:
    """15 of 100 equally spaced points of each segment, (60, 2), and the number of their segment."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.linspace(0, 1, POINTS)[:, None]
    lines = [
        torch.tensor(start) * (1 - steps) + torch.tensor(end) * steps for start, end in segments
    ]
    drawn = [line[torch.randperm(POINTS, generator=generator)[:DRAWN]] for line in lines]
    return torch.cat(drawn), torch.arange(len(segments)).repeat_interleave(DRAWN)


def run(variant: Variant, seed: int) -> Outcome:
    """Train one network; the four of a seed start alike and see the same batches."""
    samples, labels = points(TRAIN, seed)
    tests, test_labels = points(TEST, seed + 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 2)
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        batch = torch.randperm(len(samples), generator=generator)[:BATCH]
        optimizer.zero_grad()
        objective(network(samples[batch]), labels[batch], variant, generator).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        train, test = (nn.functional.normalize(network(x), dim=1) for x in (samples, tests))
    spectrum = singular_values(train)
    return Outcome(train, test, spectrum / spectrum.sum(), recall_at_1(test, test_labels))


def objective(
    embeddings: Tensor, labels: Tensor, variant: Variant, generator: torch.Generator
) -> Tensor:
    distances = Lp()(embeddings)
    anchors, positives, negatives, _ = to_triplets(all_pairs(labels))
    switch = torch.rand(len(anchors), generator=generator) < variant.p_switch
    negatives = torch.where(switch, positives, negatives)
    repulsion = (MARGIN - distances[anchors, negatives]).relu().mean()
    return repulsion + distances[anchors, positives].mean() if variant.attraction else repulsion


def recall_at_1(embeddings: Tensor, labels: Tensor) -> float:
    nearest = torch.cdist(embeddings, embeddings).fill_diagonal_(torch.inf).argmin(dim=1)
    return float((labels[nearest] == labels).double().mean())


def table(outcomes: Sequence[dict[str, Outcome]]) -> Grid:
    """Means over the seeds."""
    title = f"spectrum of the training points, mean over {len(outcomes)} seeds"
    grid = Grid("objective", "first", "second", "rho@1", "test recall@1", title=title, box=None)
    for name in VARIANTS:
        runs = [outcome[name] for outcome in outcomes]
        first, second = torch.stack([run.spectrum for run in runs]).mean(dim=0).tolist()
        rho = torch.stack([rho_spectrum(run.spectrum, m=1) for run in runs]).mean()
        recall = sum(run.recall for run in runs) / len(runs)
        grid.add_row(name, *(f"{value:.3f}" for value in (first, second, rho, recall)))
    return grid


def picture(train: Tensor, test: Tensor, outcomes: dict[str, Outcome]) -> Figure:
    """The data, the embeddings of `base` and `regularised`, and all four spectra."""
    figure, axes = plt.subplots(1, 4, figsize=(15, 4), layout="constrained")
    scatter(axes[0], train, test, "training and test points")
    for axis, name in zip(axes[1:], ("base", "regularised"), strict=False):
        axis.add_patch(Circle((0, 0), 1, fill=False, linestyle="--", color=GREY))
        scatter(axis, outcomes[name].train, outcomes[name].test, f"embeddings, {name}")
        axis.set(aspect="equal", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    for place, (name, colour) in enumerate(zip(outcomes, COLOURS, strict=False)):
        shares = outcomes[name].spectrum.tolist()
        axes[3].bar([place, place + 5], shares, color=colour, label=name)
    axes[3].set(title="singular values, share", xticks=[1.5, 6.5], xticklabels=["first", "second"])
    axes[0].legend(fontsize=8)
    axes[3].legend(fontsize=8)
    return figure


def scatter(axis: Axes, train: Tensor, test: Tensor, title: str) -> None:
    """Training classes as filled circles, test classes as crosses."""
    for kind, data, marker in (("train", train, "o"), ("test", test, "x")):
        for number, colour in zip(range(4), COLOURS, strict=False):
            x, y = data[number * DRAWN : (number + 1) * DRAWN].T.tolist()
            axis.scatter(
                x, y, color=colour, marker=marker, s=25, label=f"{kind} class {number + 1}"
            )
    axis.set_title(title)


if __name__ == "__main__":
    main(sys.argv[1:])
