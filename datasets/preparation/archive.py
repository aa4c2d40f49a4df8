"""Archive of a dataset on the web: downloads and unpacks it."""

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
    """Archive: one file on the web that contains a dataset or a part of it.

    Args:
        url: http or https.
        file: path to save it to, below the parent folder of the datasets.
        folder: the folder in the archive to unpack beside it; None does not unpack it.
        size: bytes, if known.
        checksum: `md5:<hex>` or `sha256:<hex>`, if known.
    """

    url: str
    file: str
    folder: str | None = None
    size: int | None = None
    checksum: str | None = None

    def unpacked(self, root: Path) -> bool:
        """Whether its folder exists already; the file may then be missing."""
        return self.folder is not None and (root / self.file).with_name(self.folder).exists()

    def download(self, root: Path, show: ShowProgress) -> None:
        """Download the file, or verify the existing one.

        Raises:
            DatasetError: it cannot be downloaded, its size or checksum is wrong, or another
                process downloads it.
        """
        file = root / self.file
        if file.exists():
            return verify(file, self.size, self.checksum)
        with locked(file):
            return download(self.url, file, show, size=self.size, checksum=self.checksum)

    def unpack(self, root: Path) -> None:
        """Unpack its folder beside the file.

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
    """Lock a file that is downloaded or unpacked, for one process at a time.

    Raises:
        DatasetError: another process has locked it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            yield
            lock.unlink()  # a process that has opened it in the meantime finds the work done
    except Timeout:
        raise DatasetError(f"another process downloads or unpacks {file}") from None
