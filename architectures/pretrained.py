"""Pretrained weights: loaded from the cache, or downloaded from their public address."""

import hashlib
import re
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlparse

import torch
from torch import Tensor

from core.errors import UserError


class WeightsUnavailableError(UserError):
    """Weights unavailable: they are not in the cache and cannot be downloaded."""


def weights_cache() -> Path:
    """Folder of the weights, `$TORCH_HOME/hub/checkpoints`, which torchvision uses, too."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def load_pretrained(url: str) -> dict[str, Tensor]:
    """Load the state dict at `url`, on the CPU; a file in the cache needs no network.

    Args:
        url: ends in `<name>-<first digits of the file's SHA-256>.pth`, as torch.hub expects.

    Raises:
        WeightsUnavailableError: it cannot be downloaded, or its checksum is wrong.
    """
    file = weights_cache() / Path(urlparse(url).path).name
    if not file.exists():
        _download(url, file)
    if not _digest(file).startswith(_published_digest(file)):
        raise WeightsUnavailableError(
            f"{file} is not the file published as {url}: its SHA-256 begins with "
            f"{_digest(file)[:10]}, not {_published_digest(file)}. Delete it and download it again."
        )
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights


def unavailable(url: str, file: Path, reason: object) -> WeightsUnavailableError:
    """Error of all backbones for missing weights, with instructions to download them by hand."""
    return WeightsUnavailableError(
        f"no pretrained weights in {file} and downloading {url} failed ({reason}). "
        f"Download that address on another machine and save it as {file} "
        "($TORCH_HOME sets the folder), or train from random weights with "
        "backbone.pretrained=false."
    )


def _download(url: str, file: Path) -> None:
    show_progress = sys.stderr.isatty()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(file), _published_digest(file), progress=show_progress
        )
    except (OSError, RuntimeError) as error:  # no network, a full disk, or a wrong checksum
        if isinstance(error, HTTPError):
            error.close()  # it holds the open response
        raise unavailable(url, file, error) from error


def _published_digest(file: Path) -> str:
    match = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if match is None:
        raise ValueError(f"{file.name} does not carry the first digits of its SHA-256")
    return match.group(1)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
