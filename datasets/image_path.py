"""How a table names an image: a file, a member of an archive, or the image itself as text."""

INLINE = "data:image/png;base64,"


def is_inline(path: str) -> bool:
    return path.startswith(INLINE)


def split_archive(path: str) -> tuple[str, str] | None:
    """`a/b.zip/c/d.png` -> (`a/b.zip`, `c/d.png`); None for a plain file."""
    archive, separator, member = path.partition(".zip/")
    return (f"{archive}.zip", member) if separator else None
