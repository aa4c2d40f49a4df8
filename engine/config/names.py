"""The settings that name the folder of a run, and the check of names of folders."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import MinLen

from core.ranges import Seed
from engine.config.errors import ConfigurationError
from engine.config.values import Settings

Text = Annotated[str, MinLen(1)]
LONGEST = 200  # characters; file systems take 255 bytes, and a name gets a suffix


@dataclass(frozen=True)
class Paths(Settings):
    """conf/config.yaml, `paths`."""

    data: Text | None
    runs: Text
    cache: Text


@dataclass(frozen=True)
class FolderSettings(Settings):
    """The keys that are read to find a run, before all others are checked."""

    seed: Seed
    force: bool
    group: str | int | float | None
    paths: Paths


def check_name(key: str, value: object) -> None:
    """A name is one folder or file below its parent, on every system.

    Args:
        key: of the configuration, for the message.
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
        and len(name.encode(errors="replace")) <= LONGEST
    )
    if not fits:
        raise ConfigurationError(
            f"{key}={name!r}: must be the name of one folder or file, of at most {LONGEST} "
            "printable characters, without / \\ or : and without a dot in front"
        )
