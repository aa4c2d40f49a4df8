"""Selection check: the metrics that select an epoch and store weights must be measured."""

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from engine.config.errors import ConfigurationError, suggestion
from engine.config.run_name import CONF
from engine.config.values import resolved_content
from evaluation.evaluator import Evaluator
from evaluation.results import COUNTS

SPLITS = ("train", "val", "test")


def check_selection(config: DictConfig) -> None:
    """Check that the run measures `evaluation.select_on` and `trainer.storage_metrics`.

    The defaults of conf/ may name a metric that the run does not measure: no weights are stored for
    it, and without a validation split no epoch is selected.

    Raises:
        ConfigurationError: a name is not `<split>/<metric>`, the metric is not measured, the
            split is not, or `select_on` names the test split.
    """
    metrics = metric_names(config)
    select_on = config.evaluation.select_on
    if select_on.startswith("test/"):
        raise ConfigurationError(
            f"evaluation.select_on={select_on}: the test split chooses no epoch, so name val/...; "
            "the best test value of a run is its reading `oracle`"
        )
    unused = config.validation._target_ == "datasets.validation.none"
    if not (unused and select_on in _default("evaluation", "select_on")):
        _check_name(config, "evaluation.select_on", select_on, SPLITS[:2], metrics)
    for name in config.trainer.storage_metrics:
        if name not in (select_on, *_default("trainer", "storage_metrics")):
            _check_name(config, "trainer.storage_metrics", name, SPLITS, metrics)


def check_patience(config: DictConfig, splits: Collection[str]) -> None:
    """Check that the run has the split whose metric `trainer.patience` observes.

    Raises:
        ConfigurationError: the run has no such split.
    """
    name = config.evaluation.select_on
    if config.trainer.patience is not None and name.partition("/")[0] not in splits:
        raise ConfigurationError(
            f"trainer.patience={config.trainer.patience}: waits for {name}, and the run has no "
            f"such split, only {', '.join(splits)}; choose validation=samples or "
            "validation=classes, or trainer.patience=null"
        )


def metric_names(config: DictConfig) -> list[str]:
    """Names of all metrics of a split; those per category, named by the data, end in `*`."""
    evaluation: Evaluator = instantiate(resolved_content(config)["evaluation"]["measure"])
    names = [name for name in evaluation.higher_is_better if name not in COUNTS]
    if evaluation.averages.by_category:
        names += [f"{metric}/*" for metric in evaluation.retrieval]
    return names


def _default(group: str, key: str) -> list[str]:
    """The default values of a key in conf/, with interpolations as text."""
    content = OmegaConf.to_container(OmegaConf.load(CONF / group / "default.yaml"))
    assert isinstance(content, dict)
    value = content[key]
    return [value] if isinstance(value, str) else list(value)


def _check_name(
    config: DictConfig, key: str, name: str, splits: Sequence[str], metrics: Sequence[str]
) -> None:
    split, _, metric = name.partition("/")
    if split not in splits or not metric:
        raise ConfigurationError(
            f"{key}={name}: must be <split>/<metric> with a split {' or '.join(splits)}, "
            f"such as {splits[-1]}/{metrics[0]}"
        )
    if split == "train" and not config.evaluation.train_metrics:
        raise ConfigurationError(
            f"{key}={name}: training images are measured with evaluation.train_metrics=true only"
        )
    if not any(fnmatchcase(metric, known.replace("[", "[[]")) for known in metrics):
        raise ConfigurationError(
            f"{key}={name}: {metric} is not measured{suggestion(metric, metrics)}; "
            f"metric=[...] measures {', '.join(metrics)}"
        )
