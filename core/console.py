"""Console: prints lines and tables, which are not wrapped where they go to a file or a pipe."""

from rich.console import Console

UNLIMITED = 1000  # columns


def unwrapped_console(stderr: bool = False) -> Console:
    """A console as wide as the terminal; without a terminal no line is wrapped."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = UNLIMITED
    return console
