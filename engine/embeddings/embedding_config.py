"""Configuration of an evaluation of embeddings from files, which has three groups of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf

from engine.config.command import as_typed_and_others
from engine.config.compose import compose_run
from engine.config.errors import ConfigurationError
from engine.config.names import check_name
from engine.config.run_name import CONF
from engine.embeddings.column_sources import NAMES, ColumnSources, embeddings_file
from engine.evaluation_options import EmbeddingOptions, check_options
from engine.trained_run import with_overrides

GROUPS = ["evaluation", "metric", "trainer"]
OF_A_RUN = ("run", "split", "trust")  # keys of conf/evaluate.yaml that only a run has


class EmbeddingConfig(NamedTuple):
    """Where embeddings and their columns are, the folder of the results and how to evaluate."""

    sources: ColumnSources
    folder: Path
    config: DictConfig


def embedding_config(arguments: Sequence[str]) -> EmbeddingConfig:
    """The configuration of `embeddings=<file> [key=value ...]`.

    Raises:
        ConfigurationError: a key is unknown or of a run, or a value does not fit.
    """
    for argument in arguments:
        key = argument.partition("=")[0]
        if key in OF_A_RUN:
            raise ConfigurationError(f"{argument}: only a run has {key}; embeddings= names no run")
    typed, others = as_typed_and_others(arguments, (*NAMES, "out"))
    options = default_options() | typed
    merged = OmegaConf.merge(OmegaConf.masked_copy(compose_run([]), GROUPS), options)
    assert isinstance(merged, DictConfig)
    config = with_overrides(merged, others)
    check_options(config, EmbeddingOptions, options)
    sources = ColumnSources(**{key: config[key] for key in NAMES})
    return EmbeddingConfig(sources, folder_of(config, embeddings_file(sources)), config)


def default_options() -> dict[str, Any]:
    """The keys of the two files with their defaults, without those that only a run has."""
    options: dict[str, Any] = {}
    for name in ("evaluate", "evaluate_embeddings"):
        options |= yaml.safe_load((CONF / f"{name}.yaml").read_text())
    return {key: value for key, value in options.items() if key not in OF_A_RUN}


def folder_of(config: DictConfig, file: Path) -> Path:
    """The folder of the results: `out`, or evaluation/<name> beside the file of embeddings."""
    name = str(config.name or file.stem)
    check_name("name", name)
    return Path(config.out).expanduser() if config.out else file.parent / "evaluation" / name
