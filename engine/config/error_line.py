"""Error line: ends a command that fails with one line on standard error."""

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

HYDRA_ERRORS = (HydraException, OmegaConfBaseException)
EXPECTED_ERRORS = (UserError, *HYDRA_ERRORS, ValueError, OSError)


@contextmanager
def user_errors_as_one_line(traceback: Path | None = None) -> Iterator[None]:
    """End the process with one line if the block raises an error.

    The line is `error: ...` for an error that the user can correct; `error: ...` with the path of a
    traceback for an unexpected one; `interrupted; ...` with the command that resumes the run after
    Ctrl-C, SIGTERM and SIGHUP. Nothing is printed if standard output is closed, as by `| head`.

    Args:
        traceback: file for the traceback of an unexpected error, if its folder exists; else a
            temporary file is written.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        say(interrupted())
        raise SystemExit(exit_code(error)) from error
    except Exception as error:
        if isinstance(error, BrokenPipeError) and stdout_has_no_reader():
            raise SystemExit(NO_READER) from error
        cause = wrapped_error(error)
        expected = isinstance(cause, EXPECTED_ERRORS)
        line = explain(error) if expected else unforeseen(cause, traceback)
        if isinstance(error, UserError) and error.exit_code != UserError.exit_code:
            say(f"error: {line}")
            raise SystemExit(error.exit_code) from error
        raise SystemExit(f"error: {line}") from error


def require_utf8(arguments: list[str]) -> None:
    """Check that every argument is valid UTF-8, the encoding of the files of a run.

    Raises:
        UserError: an argument has other bytes, which Python keeps as surrogates.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"the argument {argument!r} is not UTF-8") from error


def explain(error: BaseException) -> str:
    """The message of an error and of the errors that it wraps, in one line."""
    message = joined_messages(error)
    if "Original Traceback" in message:  # of a loader worker; the last line is its error
        message = message.strip().splitlines()[-1].split(": ", 1)[-1]
    text = " ".join(message.split())
    for noise in ("To append to your config use", "full_key:", "Config search path:"):
        text = text.split(noise)[0].strip()
    return one_line(_with_suggestion(text) + _suggested_key(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def wrapped_error(error: BaseException) -> BaseException:
    """The first of the causes that is not an error of Hydra or OmegaConf; else the last cause."""
    chain = list(causes(error))
    return next((cause for cause in chain if not isinstance(cause, HYDRA_ERRORS)), chain[-1])


def joined_messages(error: BaseException) -> str:
    """The messages down to the wrapped error; of Hydra's and OmegaConf's only the first line.

    An `InstantiationException` repeats the message of its cause, and is left out.
    """
    lines: list[str] = []
    for cause in causes(error):
        if not isinstance(cause, HYDRA_ERRORS) or cause.__cause__ is None:
            return " ".join([*lines, str(cause)])
        if not isinstance(cause, InstantiationException):
            lines += str(cause).splitlines()[:1]
    raise AssertionError("the last cause has no cause")


def _suggested_key(error: BaseException) -> str:
    """A suggestion for a key that the configuration lacks, from the other keys of its node."""
    *_, last = causes(error)
    if not isinstance(last, ConfigKeyError | ConfigAttributeError):
        return ""
    key, node = str(last.key), last.parent_node
    if str(last.full_key) == f"hooks.{key}":
        return _chosen_hook(key)
    return suggestion(key, map(str, node) if isinstance(node, DictConfig) else ())


def _chosen_hook(name: str) -> str:
    """How to choose a hook whose numbers are set and that the run does not have."""
    known = [file.stem for file in (CONF / "hooks").glob("*.yaml")]
    if name in known:
        return f"; choose it as well, hooks=[{name}]"
    return (
        suggestion(name, known) or f"; +hooks.{name}={{_target_: ...}} adds a hook without a file"
    )


def _with_suggestion(text: str) -> str:
    """The message, with a suggestion where it names a choice that does not exist."""
    found = re.fullmatch(r"(.*Could not (?:find|load) '([^/']+)/([^']+)')\.?( Available .*)?", text)
    if not found:
        return text
    what, group, name, options = found.groups()
    files = (CONF / group).rglob("*.yaml")
    known = [file.relative_to(CONF / group).with_suffix("").as_posix() for file in files]
    known += (options or "").split()
    return f"{what}{suggestion(name, known)}{options or ''}"
