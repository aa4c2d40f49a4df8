"""How a command ends when it cannot do what was asked: with one line on standard error."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from core.errors import UserError
from core.exit_message import (
    NO_READER,
    exit_code,
    interrupted,
    one_line,
    say,
    stdout_has_no_reader,
    unforeseen,
)
from engine.config.errors import suggestion
from engine.config.run_name import CONF

OF_HYDRA = (HydraException, OmegaConfBaseException)
FORESEEN = (UserError, *OF_HYDRA, ValueError, OSError)


@contextmanager
def user_errors_as_one_line(traceback: Path | None = None) -> Iterator[None]:
    """End the process with one line, whatever goes wrong inside.

    `error: ...` where the user can mend it; with the path of a traceback where nobody foresaw it;
    `interrupted; ...` with the command that goes on after Ctrl-C, SIGTERM and SIGHUP; nothing
    where nobody reads what is printed, as after `| head`.

    Args:
        traceback: file of an error that nobody foresaw, if its folder exists; else a temporary
            file.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        say(interrupted())
        raise SystemExit(exit_code(error)) from error
    except Exception as error:
        if isinstance(error, BrokenPipeError) and stdout_has_no_reader():
            raise SystemExit(NO_READER) from error
        foreseen = isinstance(_cause(error), FORESEEN)
        said = explain(error) if foreseen else unforeseen(_cause(error), traceback)
        if isinstance(error, UserError) and error.exit_code != UserError.exit_code:
            say(f"error: {said}")
            raise SystemExit(error.exit_code) from error
        raise SystemExit(f"error: {said}") from error


def require_utf8(arguments: list[str]) -> None:
    """Every argument is text in UTF-8, as the files of a run are.

    Raises:
        UserError: one has other bytes, which Python keeps as surrogates.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"the argument {argument!r} is not UTF-8") from error


def explain(error: BaseException) -> str:
    """One line for what Hydra says in several."""
    message = _root_cause(error)
    if "Original Traceback" in message:  # of a loader's worker; its last line is the error
        message = message.strip().splitlines()[-1].split(": ", 1)[-1]
    text = " ".join(message.split())
    for noise in ("To append to your config use", "full_key:", "Config search path:"):
        text = text.split(noise)[0].strip()
    return one_line(_with_suggestion(text) + _meant(error))


def _cause(error: BaseException) -> BaseException:
    """What went wrong below the errors in which Hydra wraps it."""
    while isinstance(error, OF_HYDRA) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _meant(error: BaseException) -> str:
    """Where a key is not in the configuration, the one beside it that was probably meant."""
    while error.__cause__ is not None:
        error = error.__cause__
    if not isinstance(error, ConfigKeyError | ConfigAttributeError):
        return ""
    beside = error.parent_node
    known = map(str, beside) if isinstance(beside, DictConfig) else ()
    return suggestion(str(error.key), known)


def _with_suggestion(text: str) -> str:
    """After a choice that does not exist, the one that was probably meant."""
    found = re.fullmatch(r"(.*Could not (?:find|load) '([^/']+)/([^']+)')\.?( Available .*)?", text)
    if not found:
        return text
    what, group, name, options = found.groups()
    files = (CONF / group).rglob("*.yaml")
    known = [file.relative_to(CONF / group).with_suffix("").as_posix() for file in files]
    known += (options or "").split()
    return f"{what}{suggestion(name, known)}{options or ''}"


def _root_cause(error: BaseException) -> str:
    """Hydra wraps its errors; the innermost message is the one that names the key."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _root_cause(error.__cause__)
    if isinstance(error, OmegaConfBaseException | HydraException) and error.__cause__ is not None:
        return " ".join([*f"{error}".splitlines()[:1], _root_cause(error.__cause__)])
    return str(error)
