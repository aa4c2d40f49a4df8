"""Embedded dataset: the repository holds the archives of `omniglot_small`.

The module imports only the standard library, so that a finished run is shown quickly.
"""

from pathlib import Path

OMNIGLOT = "omniglot"
TRAIN, TEST = "images_background_small1.zip", "images_background_small2.zip"


def omniglot_root(root: str | None) -> Path:
    """The parent of the folder `omniglot`: `root` if it has both archives, else this folder.

    Args:
        root: parent folder of the datasets; None if it is not configured.
    """
    if root is not None:
        parent = Path(root).expanduser().absolute()
        if all((parent / OMNIGLOT / name).exists() for name in (TRAIN, TEST)):
            return parent
    return Path(__file__).parent
