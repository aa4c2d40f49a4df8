"""The code blocks of a documentation page, as a reader copies them: its files and its commands."""

import re
from pathlib import Path

FENCED = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')


def files(page: Path) -> dict[str, str]:
    """The blocks with a title, such as ```python title="my_code/radius.py"; path -> content."""
    found = {}
    for _, attributes, content in FENCED.findall(page.read_text()):
        if title := TITLE.search(attributes):
            assert title[1] not in found, f"{page.name} shows {title[1]} twice"
            found[title[1]] = content
    return found


def commands(page: Path) -> list[str]:
    """The lines of the ```bash blocks without a title, without comments; `\\` continues a line."""
    found = []
    for language, attributes, content in FENCED.findall(page.read_text()):
        if language == "bash" and not TITLE.search(attributes):
            lines = content.replace("\\\n", " ").splitlines()
            found += [line for line in (re.sub(r"(^|\s+)#.*", "", one) for one in lines) if line]
    return found


def write_files(page: Path, folder: Path) -> None:
    """Write every file of a page into `folder`."""
    for name, content in files(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
