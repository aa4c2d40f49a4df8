"""Decide whether two images show the same class:  python -m scripts.threshold run=<run folder>

    run=<run folder or checkpoint> [split=val] [dataset=...] [any other key=value]
    embeddings=<file>.parquet       in place of a run: columns path, label, embedding
    [fmr=0.001]                     false match rate of the suggested threshold
    [choose_on=val | half]          classes that choose it: validation classes, or a random half
    [pairs=<file>.csv]              decides which pairs are the same: columns first, second
    [duplicates=<folder>]           lists groups of near duplicates
    [threshold=0.8]                 decides with this threshold, or with that of a threshold.json

Writes thresholds, rates with intervals over classes, ROC and DET curves into
<run>/threshold/<split>_<checkpoint>/ and prints them. docs/threshold.md explains the numbers. The
keys, with their defaults:
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from hydra import compose
from omegaconf import OmegaConf
from rich.table import Table as Grid

from core.console import relative_to_cwd, unwrapped_console
from core.files import write_text_atomically
from engine.config.check import check
from engine.config.command import as_typed_and_others
from engine.config.compose import composing
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from engine.config.values import check_arguments, resolved_content
from engine.embeddings.file_source import FileSource
from engine.embeddings.verification_source import RunSource, VerificationSource
from engine.run_arguments import run_and_config
from reporting.threshold import (
    Bootstrap,
    ThresholdSettings,
    decided_pairs,
    duplicate_groups,
    group_notes,
    report_thresholds,
)
from reporting.verification import notes, table

AS_TYPED = ("embeddings", "pairs", "duplicates", "out")  # paths, where Hydra reads no syntax
SHOWN = 10  # rows of a long table


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\n{(CONF / 'threshold.yaml').read_text()}", end="")
        return
    with user_errors_as_one_line(), composing(arguments) as given:
        source, settings, bootstrap = configured(given.overrides)
        decide(source, settings, bootstrap)


def configured(
    arguments: Sequence[str],
) -> tuple[VerificationSource, ThresholdSettings, Bootstrap]:
    """The run or file that the arguments name, and the checked keys of conf/threshold.yaml.

    Raises:
        ConfigurationError: an argument is wrong, or there is no run and no file.
    """
    typed, others = as_typed_and_others(arguments, AS_TYPED)
    is_run = any(argument.startswith("run=") for argument in others)
    if is_run == (typed.get("embeddings") is not None):
        raise ConfigurationError("name run=<run folder> or embeddings=<file>.parquet, one of them")
    run, config = (
        run_and_config(others, own="threshold") if is_run else (None, compose("threshold", others))
    )
    config.merge_with(typed)
    own = [str(key) for key in OmegaConf.load(CONF / "threshold.yaml")]
    content = resolved_content(OmegaConf.masked_copy(config, own))
    bootstrap = content.pop("bootstrap")
    check_arguments("bootstrap", Bootstrap, bootstrap)
    check_arguments("", ThresholdSettings, content)
    settings = ThresholdSettings(**content)
    for key in ("pairs", "duplicates"):
        if content[key] and not Path(content[key]).expanduser().exists():
            raise ConfigurationError(f"{key}={content[key]}: there is no such file or folder")
    if run is None:
        file = Path(settings.embeddings or "").expanduser()
        return FileSource(file, settings.split), settings, Bootstrap(**bootstrap)
    check(OmegaConf.masked_copy(config, [str(key) for key in config if key not in own]), [])
    return RunSource(run, config, settings.split), settings, Bootstrap(**bootstrap)


def decide(source: VerificationSource, settings: ThresholdSettings, bootstrap: Bootstrap) -> None:
    """Write and print the thresholds, the decisions about pairs and the near duplicates."""
    folder = Path(settings.out).expanduser() if settings.out else source.folder
    report = report_thresholds(source, settings, bootstrap)
    report.write(folder)
    show(table(report))
    for line in notes(report):
        print(line)
    print(relative_to_cwd(folder / "threshold.json"))
    if report.chosen is not None and settings.pairs:
        decided = decided_pairs(source, Path(settings.pairs).expanduser(), report.chosen.value)
        print(f"Same: {int(decided['same'].sum()):,} of {len(decided):,} pairs.")
        write_and_show(decided, folder / "pairs.csv")
    if report.chosen is not None and settings.duplicates:
        images = source.images_at(Path(settings.duplicates).expanduser())
        groups = duplicate_groups(images, report.chosen.value)
        for line in group_notes(groups, len(images.paths)):
            print(line)
        write_and_show(groups, folder / "duplicates.csv")


def write_and_show(rows: pd.DataFrame, file: Path) -> None:
    write_text_atomically(file, rows.to_csv(index=False))
    shown = rows.head(SHOWN)
    show(shown.assign(similarity=shown["similarity"].map("{:.4f}".format)))
    print(relative_to_cwd(file))


def show(rows: pd.DataFrame) -> None:
    """Print a table."""
    grid = Grid(*map(str, rows.columns), box=None, header_style="bold")
    for row in rows.itertuples(index=False):
        grid.add_row(*map(str, row))
    unwrapped_console().print(grid)


if __name__ == "__main__":
    main(sys.argv[1:])
