"""Selection check: the metrics that select an epoch and store weights must be measured."""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from engine.config.errors import ConfigurationError, suggestion
from engine.config.hooks import PATIENCE, build_hooks, without_weights
from engine.config.run_name import CONF
from engine.config.values import resolved_content
from engine.hooks.early_stopping import EarlyStopping
from engine.hooks.export_embeddings import ExportEmbeddings
from engine.hooks.hook import Hook
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
    for key, hook in build_hooks(config).items():
        if isinstance(hook, EarlyStopping) and hook.metric != select_on:
            _check_name(config, f"{key}.metric", hook.metric, SPLITS[:2], metrics)


def check_hook_splits(hooks: Mapping[str, Hook], splits: Collection[str]) -> None:
    """Check that the run evaluates the splits that early stopping and the export wait for.

    Raises:
        ConfigurationError: the run has no such split.
    """
    only = f"only {', '.join(splits)}"
    for key, hook in hooks.items():
        if isinstance(hook, EarlyStopping) and hook.metric.partition("/")[0] not in splits:
            name = key if key == PATIENCE else f"{key}.patience"
            raise ConfigurationError(
                f"{name}={hook.patience}: waits for {hook.metric}, and the run has no such split, "
                f"{only}; choose validation=samples or validation=classes, or no early stopping"
            )
        if isinstance(hook, ExportEmbeddings) and not set(hook.splits or ()) <= set(splits):
            raise ConfigurationError(
                f"{key}.splits={list(hook.splits or ())}: the run evaluates {only}; val needs "
                "validation=samples or validation=classes, train evaluation.train_metrics=true"
            )


def check_categories(config: DictConfig, categories: Mapping[str, Sequence[str]]) -> None:
    """Check that the images of every split have a category, if the evaluation needs categories.

    Args:
        categories: name of a split -> the category of each of its images, "" for none.

    Raises:
        CategoryError: an image has none.
    """
    evaluation = _evaluator(config)
    for of_images in categories.values():
        evaluation.check_categories(of_images, len(of_images))


def check_parts(config: DictConfig, parts: Collection[str]) -> None:
    """Check that the metrics of parts of an embedding, `<split>/<part>/<metric>`, name its parts.

    Args:
        parts: names of the parts that the method of the run evaluates.

    Raises:
        ConfigurationError: `evaluation.select_on` or `trainer.storage_metrics` name another part.
    """
    hooks = build_hooks(config)
    metrics = metric_names(config) if has_parts(config) else []
    names = dict.fromkeys(config.trainer.storage_metrics, "trainer.storage_metrics")
    waits = {key: one for key, one in hooks.items() if isinstance(one, EarlyStopping)}
    names |= {one.metric: f"{key}.metric" for key, one in waits.items()}
    for name, key in {**names, config.evaluation.select_on: "evaluation.select_on"}.items():
        part, _, metric = without_weights(name.partition("/")[2], hooks).partition("/")
        if part not in parts and _is_measured(metric, metrics):
            there = f"the parts {', '.join(parts)}" if parts else "no parts"
            raise ConfigurationError(
                f"{key}={name}: the embedding of this run has {there}{suggestion(part, parts)}"
            )


def has_parts(config: DictConfig) -> bool:
    """Whether the method of the run may evaluate parts of an embedding on their own."""
    plain = "methods.plain.Plain"  # also the method of earlier runs, which do not name it
    return bool(OmegaConf.select(config, "method._target_", default=plain) != plain)


def metric_names(config: DictConfig) -> list[str]:
    """Names of all metrics of a split; those per category, named by the data, end in `*`."""
    evaluation = _evaluator(config)
    names = [name for name in evaluation.higher_is_better if name not in COUNTS]
    return names + [f"{metric}/*" for metric in evaluation.metrics_by_category]


def _evaluator(config: DictConfig) -> Evaluator:
    evaluation: Evaluator = instantiate(resolved_content(config)["evaluation"]["measure"])
    return evaluation


def _is_measured(metric: str, metrics: Sequence[str]) -> bool:
    return any(fnmatchcase(metric, known.replace("[", "[[]")) for known in metrics)


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
    metric = without_weights(metric, build_hooks(config))
    if has_parts(config) and _is_measured(metric.partition("/")[2], metrics):
        return  # see `check_parts`
    if not _is_measured(metric, metrics):
        raise ConfigurationError(
            f"{key}={name}: {metric} is not measured{suggestion(metric, metrics)}; "
            f"metric=[...] measures {', '.join(metrics)}"
        )
