"""Console: prints lines and tables, which are not wrapped in a file or a pipe, and paths."""

from pathlib import Path

from rich.console import Console

UNLIMITED = 1000  # columns


def unwrapped_console(stderr: bool = False) -> Console:
    """A console as wide as the terminal; without a terminal no line is wrapped."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = UNLIMITED
    return console


def relative_to_cwd(path: Path) -> Path:
    """The path relative to the working directory, to be shown; unchanged if it is not below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
