"""Options of scripts.evaluate: the keys of conf/evaluate.yaml with their types, and a check."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from core.ranges import PositiveInt
from engine.config.names import Text
from engine.config.values import Settings, check_arguments
from engine.embeddings.column_sources import ColumnSources
from engine.inspection import write_inspection_report
from engine.run_arguments import own_content


@dataclass(frozen=True)
class WrittenTables(Settings):
    """Keys of `write` in conf/evaluate.yaml: tables that are written if asked for."""

    embeddings: bool
    neighbors: bool


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of every evaluation, without `pictures`, the arguments of an inspection report."""

    name: Text | int | float | None
    neighbors: PositiveInt
    draw: bool
    write: WrittenTables


@dataclass(frozen=True)
class RunOptions(EvaluationOptions):
    """Options of the evaluation of a run: conf/evaluate.yaml."""

    run: Text
    split: Literal["train", "val", "test"]
    trust: Text | Sequence[Text]


@dataclass(frozen=True)
class EmbeddingOptions(EvaluationOptions):
    """Options of the evaluation of embeddings: conf/evaluate_embeddings.yaml, without columns."""

    out: Text | None


def check_options(
    config: DictConfig, options: type[EvaluationOptions], keys: Iterable[str]
) -> None:
    """Check the values of the options, and of all other keys as those of a run.

    Args:
        keys: the keys of the options.

    Raises:
        ConfigurationError: see `engine.config.values.check_values`.
    """
    content = own_content(config, keys)
    check_arguments("pictures", write_inspection_report, content.pop("pictures"))
    sources = {key: content.pop(key) for key in ColumnSources.__annotations__ if key in content}
    if sources:
        check_arguments("", ColumnSources, sources)
    check_arguments("", options, content)
