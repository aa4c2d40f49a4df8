"""Third-party warnings: those of libraries are logged to a file of the run, not to the terminal."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from engine.config.run_name import CONF

OWN_PACKAGES = {path.parent.name for path in CONF.parent.glob("*/__init__.py")}
# holds warnings until a run has a folder
_buffer = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL + 1)


def capture_warnings() -> None:
    """Buffer the warnings of libraries; show those of this project on the terminal.

    With `python -W` or `PYTHONWARNINGS` Python handles calls of `warnings.warn` as usual.
    """
    logging.raiseExceptions = False  # the run reports a full disk, its warnings do not
    terminal = logging.StreamHandler()
    terminal.addFilter(lambda record: record.name.partition(".")[0] in OWN_PACKAGES)
    terminal.setLevel(logging.WARNING)
    logging.getLogger().addHandler(terminal)
    logging.getLogger().addHandler(_buffer)
    if not sys.warnoptions:
        logging.captureWarnings(True)
        warnings.simplefilter("default")


@contextmanager
def log_warnings(file: Path) -> Iterator[None]:
    """Append the buffered warnings to a file, and those that are logged inside the block."""
    handler = logging.FileHandler(file, delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.removeHandler(_buffer)
    _buffer.setTarget(handler)
    _buffer.flush()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
