"""Where a dataset can be had: a file of the web, and the folder in it."""

from dataclasses import dataclass
from pathlib import Path

from datasets.preparation.download import download, verify
from datasets.preparation.transfer import ShowProgress
from datasets.preparation.unpack import unpack


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
            DatasetError: it cannot be had, or is not the known one.
        """
        file = root / self.file
        if file.exists():
            return verify(file, self.size, self.checksum)
        file.parent.mkdir(parents=True, exist_ok=True)
        return download(self.url, file, show, size=self.size, checksum=self.checksum)

    def unpack(self, root: Path) -> None:
        if self.folder is not None:
            file = root / self.file
            unpack(file, file.with_name(self.folder))
