"""Search space of a loss, declared by conf/search/<loss>.yaml: keys and their ranges."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from core.errors import UserError
from engine.config.run_name import CONF

Space = dict[str, BaseDistribution]  # configuration key -> its possible values
FIELDS = ("low", "high", "log", "integer", "choices")
DIGITS = 4  # significant digits of a suggested number


class SpaceError(UserError):
    """A search space is missing or invalid."""


def file_of(loss: str, folders: Sequence[Path]) -> Path | None:
    """The first file that declares the search space of a loss; None if there is none."""
    files = [folder / "search" / f"{loss}.yaml" for folder in folders]
    return next((file for file in files if file.exists()), None)


def require_spaces(losses: Iterable[str], folders: Sequence[Path] = (CONF,)) -> None:
    """Check that every loss has a search space.

    Raises:
        SpaceError: names all losses that have none.
    """
    if missing := sorted({loss for loss in losses if file_of(loss, folders) is None}):
        raise SpaceError(
            f"no search space for {', '.join(missing)}: write keys and ranges to "
            "conf/search/<loss>.yaml, as in conf/search/margin.yaml"
        )


def space_of(loss: str, fixed: Iterable[str], folders: Sequence[Path] = (CONF,)) -> Space:
    """The search space of a loss, without the keys that the command line fixes.

    Args:
        folders: of configuration files, conf/ and those of `--config-dir`.

    Raises:
        SpaceError: there is no such file, every key is fixed, or a range is invalid.
    """
    require_spaces([loss], folders)
    file = file_of(loss, folders)
    assert file is not None
    content = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(content, dict)
    searched = {str(key): limits for key, limits in content.items() if key not in set(fixed)}
    space = {key: distribution(key, limits) for key, limits in searched.items()}
    if not space:
        raise SpaceError(f"{file}: every key is fixed on the command line")
    return space


def distribution(key: str, limits: Mapping[str, Any]) -> BaseDistribution:
    """`{low, high, log: false, integer: false}`, both ends included, or `{choices}`."""
    unknown = [field for field in limits if field not in FIELDS]
    if unknown:
        raise SpaceError(f"{key}: unknown {', '.join(unknown)}; known are {', '.join(FIELDS)}")
    try:
        if "choices" in limits:
            return CategoricalDistribution(limits["choices"])
        kind = IntDistribution if limits.get("integer", False) else FloatDistribution
        return kind(limits["low"], limits["high"], log=limits.get("log", False))
    except (KeyError, ValueError, TypeError) as error:
        raise SpaceError(f"{key}: {error}; a range is low and high, or choices") from error


def overrides(parameters: Mapping[str, Any]) -> list[str]:
    """`key=value` for the command line, with rounded numbers."""
    return [f"{key}={_short(value)}" for key, value in parameters.items()]


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return "null" if value is None else str(value)
