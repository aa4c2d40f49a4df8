"""Evaluate cross-validated runs as Musgrave et al. 2020 do:

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
from collections.abc import Sequence
from pathlib import Path

from hydra.utils import instantiate
from rich.console import Console

from core.files import write_text_atomically
from engine.config.error_line import user_errors_as_one_line
from engine.evaluated_split import evaluated_split
from engine.load import TrainedEmbedder
from engine.run_arguments import run_and_config
from engine.trained_run import load_backbone, load_config, load_weights
from evaluation.ensemble import evaluate_ensemble
from reporting.cross_validation import Numbers, scalars, summarize_seeds, summary_table
from reporting.readers.folds import Folds, folds_by_seed

COMBINED = "combined"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.folds",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "groups", nargs="+", type=Path, help="group folders: runs/<dataset>/<group>"
    )
    parser.add_argument("--split", default="test", help="images measured: test, val or train")
    parser.add_argument("--out", type=Path, help="JSON file of the numbers")
    parser.add_argument(
        "--trust", nargs="+", default=[], help="packages that the runs may build objects of"
    )
    options = parser.parse_args(arguments)
    with user_errors_as_one_line():
        runs = folds_by_seed(options.groups, options.trust)
        by_seed = {s: measure(folds, options.split, options.trust) for s, folds in runs.items()}
        rows = summarize_seeds(by_seed)
    Console().print(summary_table(rows, sorted(by_seed), options.split))
    if options.out:
        write_text_atomically(options.out, json.dumps({"seeds": by_seed, "over_seeds": rows}))
        print(options.out)


def measure(folds: Folds, split: str, trusted: Sequence[str] = ()) -> dict[str, Numbers]:
    """Metrics of the models of one seed, separated and concatenated, on the recorded data."""
    parts, labels = {}, None
    for index, run in sorted(folds.items()):
        select_on = str(load_config(run, trusted).evaluation.select_on)
        checkpoint = run / "checkpoints" / f"best_{select_on.replace('/', '_')}.pt"
        arguments = [f"run={checkpoint}", f"split={split}", f"trust=[{','.join(trusted)}]"]
        trained, config = run_and_config(arguments, recorded_data=True)
        images = evaluated_split(config)
        model = load_backbone(config, load_weights(trained.checkpoint))
        embedded = TrainedEmbedder(trained, config, model).embed_images(images)
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


if __name__ == "__main__":
    main(sys.argv[1:])
