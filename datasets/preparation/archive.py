"""Where a dataset can be had: a file of the web, and the folder in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from datasets.preparation.download import download, verify
from datasets.preparation.transfer import ShowProgress
from datasets.preparation.unpack import unpack
from datasets.table import DatasetError


@dataclass(frozen=True)
class Archive:
    """One file that holds a dataset or a part of it.

    Args:
        url: http or https.
        file: where it is kept, below the parent folder of the datasets.
        folder: its folder with the dataset, to be unpacked beside it; None reads it as it is.
        size: bytes, if known.
        checksum: `md5:<hex>` or `sha256:<hex>`, if known.
    """

    url: str
    file: str
    folder: str | None = None
    size: int | None = None
    checksum: str | None = None

    def unpacked(self, root: Path) -> bool:
        """Whether its folder is there already; the file may be deleted then."""
        return self.folder is not None and (root / self.file).with_name(self.folder).exists()

    def download(self, root: Path, show: ShowProgress) -> None:
        """Fetch the file, or check the one that is there.

        Raises:
            DatasetError: it cannot be had, or is not the known one; or another process fetches it.
        """
        file = root / self.file
        if file.exists():
            return verify(file, self.size, self.checksum)
        with locked(file):
            return download(self.url, file, show, size=self.size, checksum=self.checksum)

    def unpack(self, root: Path) -> None:
        """Write its folder beside the file.

        Raises:
            DatasetError: see `datasets.preparation.unpack.unpack`; or another process unpacks it.
        """
        if self.folder is not None:
            file = root / self.file
            with locked(file):
                if not self.unpacked(root):
                    unpack(file, file.with_name(self.folder))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes from a file that is downloaded or unpacked.

    Raises:
        DatasetError: another process works on it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            yield
            lock.unlink()  # whoever opened it in the meantime finds the work done
    except Timeout:
        raise DatasetError(f"another process is at work on {file}") from None
