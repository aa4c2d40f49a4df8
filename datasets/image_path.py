"""Path of an image in a table: a file, a member of an archive, or a data URI with the image."""

INLINE = "data:image/png;base64,"


def is_inline(path: str) -> bool:
    """Whether the path is a data URI, which contains the image."""
    return path.startswith(INLINE)


def split_archive(path: str) -> tuple[str, str] | None:
    """Archive and member: `a/b.zip/c/d.png` -> (`a/b.zip`, `c/d.png`); None for a plain file."""
    archive, separator, member = path.partition(".zip/")
    return (f"{archive}.zip", member) if separator else None
