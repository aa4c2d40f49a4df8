"""Names that become folders."""

from engine.errors import ConfigurationError

LONGEST = 200  # characters; file systems take 255 bytes, and a name gets a suffix


def check_name(key: str, value: object) -> None:
    """A name is one folder below its parent, on every system.

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
            f"{key}={name!r}: must be the name of one folder, of at most {LONGEST} printable "
            "characters, without / \\ or : and without a dot in front"
        )
