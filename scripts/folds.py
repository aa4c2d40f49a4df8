"""Cross-validated runs as Musgrave et al. 2020 report them:

    python -m scripts.folds runs/cub200/musgrave2020_contrastive_*     # four groups, one per fold

A model per fold of the training classes, each at the epoch that is best on its validation classes,
measured on the test images of the dataset. For each seed

    separated      mean over the folds of what each model reaches alone (128 dimensions)
    concatenated   what their joined embeddings reach (512 dimensions)

and over the seeds the mean with its 95 % t-interval. Prints the table; `--out FILE` writes JSON.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as Grid

from core.errors import UserError
from core.files import DamagedFileError, write_text_atomically
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.protocol import deviations
from engine.trained_run import load_backbone, load_config, load_weights
from evaluation.ensemble import evaluate_ensemble
from reporting.statistics import half_interval
from scripts.evaluate import embed_images, images_of, read
from tracking.run_folder import RunFolder

Numbers = dict[str, float]
Folds = dict[int, Path]  # index of the fold -> run folder
COMBINED = "combined"
OF_THE_FOLD = ("seed", "num_classes", "num_clusters")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts.folds", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("groups", nargs="+", type=Path, help="folders that hold seed<k>/")
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--trust", nargs="+", default=[], help="packages that the runs may build objects of"
    )
    options = parser.parse_args(arguments)
    with user_errors_as_one_line():
        runs = by_seed_and_fold(options.groups, options.trust)
        by_seed = {s: measure(folds, options.split, options.trust) for s, folds in runs.items()}
        rows = over_seeds(by_seed)
    Console().print(table(rows, sorted(by_seed), options.split))
    if options.out:
        write_text_atomically(options.out, json.dumps({"seeds": by_seed, "over_seeds": rows}))
        print(options.out)


def by_seed_and_fold(groups: Sequence[Path], trusted: Sequence[str] = ()) -> dict[int, Folds]:
    """The finished runs of these groups; every seed has each fold once, of one configuration.

    A seed of which a run is damaged, or builds objects of packages that are not trusted, is left
    out and named.

    Raises:
        UserError: one is missing, there twice, or another configuration.
    """
    found: dict[int, Folds] = {}
    configs, left_out = configurations(groups, trusted)
    for run, config in configs.items():
        first = next(iter(configs))
        if "folds" not in (config.get("validation") or {}):
            raise UserError(f"{run} has no folds; train with validation=fold or musgrave")
        if other := deviations(plain(configs[first]), plain(config)):
            changed = ", ".join(difference.key for difference in other)
            raise UserError(f"{run} is another configuration than {first}: {changed}")
        folds = found.setdefault(config.seed, {})
        if config.validation.index in folds:
            raise UserError(f"fold {config.validation.index} is there twice, the second in {run}")
        folds[config.validation.index] = run
    found = {seed: folds for seed, folds in sorted(found.items()) if f"seed{seed}" not in left_out}
    if not found:
        raise UserError(f"no finished run in {', '.join(map(str, groups))}")
    for seed, folds in found.items():
        missing = sorted(set(range(config.validation.folds)) - set(folds))
        if missing:
            raise UserError(f"seed {seed} lacks fold {', '.join(map(str, missing))}")
    return found


def configurations(
    groups: Sequence[Path], trusted: Sequence[str]
) -> tuple[dict[Path, DictConfig], set[str]]:
    """Finished run -> its configuration, and the names of the folders that cannot be read."""
    configs, left_out = {}, set()
    for run in sorted(run for group in groups for run in group.glob("seed*")):
        try:
            if RunFolder(run).finished:
                configs[run] = load_config(run, trusted)
        except (DamagedFileError, ConfigurationError) as error:
            print(f"left out: {run.name}, for {error}", file=sys.stderr)
            left_out.add(run.name)
    return configs, left_out


def plain(node: object) -> object:
    """Without what a fold or a seed changes, wherever the resolved configuration repeats it."""
    if isinstance(node, DictConfig):
        node = OmegaConf.to_container(node)
    if not isinstance(node, dict):
        return node
    return {key: plain(value) for key, value in node.items() if key not in OF_THE_FOLD}


def measure(folds: Folds, split: str, trusted: Sequence[str] = ()) -> dict[str, Numbers]:
    """What the models of one seed reach, `separated` and `concatenated`, on the recorded data."""
    parts, labels = {}, None
    for index, run in sorted(folds.items()):
        select_on = str(load_config(run, trusted).evaluation.select_on)
        checkpoint = run / "checkpoints" / f"best_{select_on.replace('/', '_')}.pt"
        arguments = [f"run={checkpoint}", f"split={split}", f"trust=[{','.join(trusted)}]"]
        trained, config = read(arguments, recorded_data=True)
        images = images_of(config)
        model = load_backbone(config, load_weights(trained.checkpoint))
        embedded = embed_images(config, model, images)
        parts[f"fold {index}"], labels = embedded.embeddings, embedded.labels
    evaluation = instantiate(config.evaluation.measure)
    results = {
        name: scalars(evaluation(embeddings, labels, *images.roles, images.categories))
        for name, embeddings in evaluate_ensemble(parts, name=COMBINED).items()
    }
    concatenated = results.pop(COMBINED)
    separated = {
        metric: statistics.fmean(result[metric] for result in results.values())
        for metric in concatenated
    }
    return {"separated": separated, "concatenated": concatenated}


def scalars(results: Mapping[str, object]) -> Numbers:
    """The metrics that are one number."""
    return {
        name: float(value)
        for name, value in results.items()
        if isinstance(value, float) and not name.startswith("num_")
    }


def over_seeds(by_seed: Mapping[int, Mapping[str, Numbers]]) -> dict[str, dict[str, Numbers]]:
    """Mean and half the 95 % interval of every metric, by `separated` and `concatenated`."""
    rows: dict[str, dict[str, Numbers]] = {}
    for way in ("separated", "concatenated"):
        for metric in next(iter(by_seed.values()))[way]:
            values = [results[way][metric] for results in by_seed.values()]
            summary = {"mean": statistics.fmean(values), "half_interval": half_interval(values)}
            rows.setdefault(metric, {})[way] = summary
    return rows


def table(rows: Mapping[str, Mapping[str, Numbers]], seeds: Sequence[int], split: str) -> Grid:
    """In percent."""
    title = f"{split}, selected on validation classes, n={len(seeds)} seeds, mean ± 95 % interval"
    grid = Grid("metric", "separated", "concatenated", title=title, box=None)
    for metric, row in rows.items():
        grid.add_row(metric, *(cell(row[way]) for way in ("separated", "concatenated")))
    return grid


def cell(summary: Numbers) -> str:
    half = summary["half_interval"]
    spread = f" ± {100 * half:.2f}" if half == half else " (n=1)"  # NaN of one seed
    return f"{100 * summary['mean']:.2f}{spread}"


if __name__ == "__main__":
    main(sys.argv[1:])
