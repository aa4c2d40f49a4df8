"""Contracts of components: checks sampler, dataset, backbone and hooks before the first step.

The results of miners and metrics are checked at every call, in `core.tuples` and
`evaluation.metrics.metric`.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from torch import nn

from core.errors import ComponentError
from core.types import BatchSampler
from datasets.table import SPLITS, TEXT, DatasetError
from engine.config.errors import suggestion
from engine.hooks.hook import Hook

SAMPLER_INPUTS = ("labels", "categories", "is_query", "is_gallery", "paths", "rows")
REFERENCES = ("embeddings", "labels", "references", "reference_labels")
COLUMNS = (*TEXT, "is_query", "is_gallery")
HOOK_METHODS = tuple(name for name in vars(Hook) if inspect.isfunction(getattr(Hook, name)))
MOMENTS = ("after_", "before_", "at_", "on_")  # how names of such methods begin


def check_miner_call(target: Callable[..., object] | None) -> None:
    """Check that a miner, if it is a class, accepts the four arguments that a loss passes."""
    if not inspect.isclass(target):
        return
    call = target.forward if issubclass(target, nn.Module) else target.__call__
    try:
        inspect.signature(call).bind(None, *REFERENCES)
    except TypeError as error:
        raise ComponentError(
            f"batchminer {target.__qualname__}: is called as miner({', '.join(REFERENCES)}), the "
            f"last two None where there are no references: {error}"
        ) from error


def check_sampler_call(factory: Callable[..., object]) -> None:
    """Check that a sampler accepts the labels and needs nothing that a run does not have.

    Args:
        factory: the class or function, as a partial with the values of the YAML.
    """
    parameters = inspect.signature(factory).parameters.values()
    variadic = {p.kind for p in parameters} & {inspect.Parameter.VAR_KEYWORD}
    if not variadic and "labels" not in {p.name for p in parameters}:
        raise ComponentError(
            f"sampler {factory_name(factory)}: takes no labels; it is built with labels=, the "
            "class of every training image, and the values of its YAML, which says _partial_: true"
        )
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in fixed]
    if unknown := [name for name in needed if name not in SAMPLER_INPUTS]:
        raise ComponentError(
            f"sampler {factory_name(factory)}: asks for {', '.join(unknown)}; a run has "
            f"{', '.join(SAMPLER_INPUTS)}, every other argument needs a value in the sampler's YAML"
        )


def check_sampler(sampler: BatchSampler, num_images: int) -> None:
    """Check that a sampler has its methods and that its first batch is valid and reproducible."""
    name = f"sampler {type(sampler).__qualname__}"
    methods = ("set_epoch", "__len__", "__iter__")
    if missing := [method for method in methods if not hasattr(sampler, method)]:
        raise ComponentError(f"{name}: has no {' and no '.join(missing)}")
    if len(sampler) < 1:
        raise ComponentError(f"{name}: an epoch has no batch of {num_images} images")
    with _embeddings_for_a_check(sampler, num_images):
        first, again = (_first_batch(sampler) for _ in range(2))
    if not isinstance(first, list) or not first:
        raise ComponentError(f"{name}: must yield lists of indices, got {_short_text(first)}")
    if not all(0 <= index < num_images for index in first):
        raise ComponentError(f"{name}: yields indices beyond 0..{num_images - 1}, those of images")
    if first != again:
        raise ComponentError(
            f"{name}: epoch 0 begins with other images when it is drawn again; an epoch depends on "
            "the seed and the number of the epoch alone, numpy.random.default_rng((seed, epoch))"
        )


def _first_batch(sampler: BatchSampler) -> object:
    sampler.set_epoch(0)
    assert isinstance(sampler, Iterable)
    batch: Any = next(iter(sampler), None)
    return batch.tolist() if hasattr(batch, "tolist") else batch


@contextmanager
def _embeddings_for_a_check(sampler: BatchSampler, num_images: int) -> Iterator[None]:
    """Zeros in the place of the stored embeddings, which the run computes later."""
    stored = getattr(sampler, "storage", None)
    if stored is None:
        yield
        return
    stored.fill(torch.zeros(num_images, 1))
    yield
    stored.clear()


def check_hook(hook: object, key: str) -> None:
    """Check that an object is a hook, and that a run will call the methods that it defines.

    Args:
        hook: what the node of a configuration makes.
        key: the key of the node, for messages.

    Raises:
        ComponentError: it is no hook, overrides nothing, has a method whose name a run does not
            know, or takes other arguments than a run passes.
    """
    kind = type(hook)
    name = f"{key}: {kind.__qualname__}"
    if not isinstance(hook, Hook):
        raise ComponentError(f"{name} is no hook; derive the class from engine.hooks.hook.Hook")
    bases = (base for base in kind.__mro__ if issubclass(base, Hook) and base is not Hook)
    for method in (key for base in bases for key, value in vars(base).items() if callable(value)):
        if not hasattr(Hook, method) and _looks_called(method):
            raise ComponentError(
                f"{name}.{method} is never called{suggestion(method, HOOK_METHODS)}; a run calls "
                f"{', '.join(HOOK_METHODS)}; the name of any other method begins with _"
            )
    overridden = [name for name in HOOK_METHODS if getattr(kind, name) is not getattr(Hook, name)]
    if not overridden:
        raise ComponentError(f"{name} does nothing; override one of {', '.join(HOOK_METHODS)}")
    if len({"state_dict", "load_state_dict"} & set(overridden)) == 1:
        raise ComponentError(f"{name} must override both state_dict and load_state_dict")
    for method in overridden:
        expected = list(inspect.signature(getattr(Hook, method)).parameters)
        try:
            inspect.signature(getattr(kind, method)).bind(*expected)
        except TypeError as error:
            raise ComponentError(
                f"{name}.{method} is called as {method}({', '.join(expected[1:])}): {error}"
            ) from error


def _looks_called(method: str) -> bool:
    """Whether a method of a hook has a name that its author takes for one that a run calls."""
    similar = get_close_matches(method, HOOK_METHODS, n=1, cutoff=0.85)
    return bool(similar) or method.startswith(MOMENTS)


def check_hook_state(state: object, name: str) -> None:
    """Check that a checkpoint can hold the state of a hook.

    Raises:
        ComponentError: it holds something else than tensors, numbers, text and containers of them.
    """
    if isinstance(state, dict | list | tuple):
        for part in [*state, *state.values()] if isinstance(state, dict) else state:
            check_hook_state(part, name)
    elif not isinstance(state, torch.Tensor | bool | int | float | str | None):
        raise ComponentError(
            f"{name}.state_dict() holds {_short_text(state)}; a checkpoint holds tensors, numbers, "
            "text, lists and dictionaries"
        )


def factory_name(factory: Callable[..., object]) -> str:
    """The name of the class or function, of a partial too."""
    return str(getattr(factory, "func", factory).__qualname__)


def check_table(table: object, name: str) -> None:
    """Check that a dataset is a table with the columns and splits of all datasets.

    Raises:
        DatasetError: names what is missing, and the function that adds it.
    """
    made = "datasets.table.make_table(path, label, split) makes the table"
    if not isinstance(table, pd.DataFrame):
        raise DatasetError(f"dataset {name}: must return a table, got {_short_text(table)}; {made}")
    if missing := [column for column in COLUMNS if column not in table]:
        raise DatasetError(f"dataset {name}: the table has no {', '.join(missing)}; {made}")
    if unknown := sorted(set(map(str, table["split"])) - set(SPLITS)):
        raise DatasetError(f"dataset {name}: splits are {', '.join(SPLITS)}, got {unknown[:3]}")
    if not all(isinstance(label, str) for label in table["label"]):
        raise DatasetError(f"dataset {name}: labels must be text; {made}")


def check_embeddings(backbone: DictConfig, embeddings: object) -> None:
    """Check that a backbone embeds one image as one row of `embedding_dim` floating-point numbers.

    Raises:
        ComponentError: describes what the backbone returned instead.
    """
    name, dim = f"backbone {backbone._target_}", backbone.get("embedding_dim")
    wanted = f"(1, {dim or 'D'})"
    if not isinstance(embeddings, torch.Tensor):
        raise ComponentError(
            f"{name}: must make embeddings {wanted} of one image, got {_short_text(embeddings)}"
        )
    shape = tuple(embeddings.shape)
    if len(shape) != 2 or shape[0] != 1 or (dim is not None and shape[1] != dim):
        raise ComponentError(f"{name}: must make embeddings {wanted} of one image, got {shape}")
    if not embeddings.is_floating_point():
        raise ComponentError(f"{name}: embeddings must be floating point, got {embeddings.dtype}")


def _short_text(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:40]}".strip()
