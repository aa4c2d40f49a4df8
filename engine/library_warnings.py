"""Library warnings are logged to a file of the run instead of the terminal."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from engine.config.run_name import CONF

OWN = {path.parent.name for path in CONF.parent.glob("*/__init__.py")}  # this project's packages
_early = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL + 1)  # until a run has a folder


def capture_library_warnings() -> None:
    """Keep what libraries warn of, also by `warnings`; what this project says is shown.

    `python -W` and `PYTHONWARNINGS` ask for Python's own behaviour, and get it.
    """
    logging.raiseExceptions = False  # the run reports a full disk, its warnings do not
    shown = logging.StreamHandler()
    shown.addFilter(lambda record: record.name.partition(".")[0] in OWN)
    shown.setLevel(logging.WARNING)
    logging.getLogger().addHandler(shown)
    logging.getLogger().addHandler(_early)
    if not sys.warnoptions:
        logging.captureWarnings(True)
        warnings.simplefilter("default")


@contextmanager
def log_library_warnings(file: Path) -> Iterator[None]:
    """Append to this file what was warned of before and what is warned of meanwhile."""
    kept = logging.FileHandler(file, delay=True)
    kept.setLevel(logging.WARNING)
    kept.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.removeHandler(_early)
    _early.setTarget(kept)
    _early.flush()
    root.addHandler(kept)
    try:
        yield
    finally:
        root.removeHandler(kept)
        kept.close()
