"""Folder settings: the keys that name the folder of a run, and the check of a folder name."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import MinLen

from core.ranges import Seed
from engine.config.errors import ConfigurationError
from engine.config.values import Settings

Text = Annotated[str, MinLen(1)]
MAX_BYTES = 200  # of a name; file systems allow 255 bytes, and a name gets a suffix


@dataclass(frozen=True)
class Paths(Settings):
    """Settings of `paths` in conf/config.yaml: the folders of data, runs and caches."""

    data: Text | None
    runs: Text
    cache: Text


@dataclass(frozen=True)
class FolderSettings(Settings):
    """Keys that name the folder of a run; they are checked before all others.

    `init_from` and `init_head` were added later, and the configurations of earlier runs lack them.
    """

    seed: Seed
    force: bool
    group: str | int | float | None
    paths: Paths
    init_from: Text | None = field(default=None, kw_only=True)
    init_head: bool = field(default=True, kw_only=True)


def check_name(key: str, value: object) -> None:
    """Check that a name is valid for one folder or file on every operating system.

    Args:
        key: the key of the configuration, for the message.
        value: the name.

    Raises:
        ConfigurationError: the value is empty, begins with a dot, has a separator, a character that
            cannot be printed or a space at an end, or is longer than 200 bytes.
    """
    name = str(value)
    fits = (
        name.isprintable()
        and name == name.strip()
        and name[:1] not in ("", ".")
        and not set(name) & set("/\\:")
        and len(name.encode(errors="replace")) <= MAX_BYTES
    )
    if not fits:
        raise ConfigurationError(
            f"{key}={name!r}: must be the name of one folder or file, of at most {MAX_BYTES} "
            "printable characters, without / \\ or : and without a dot in front"
        )
