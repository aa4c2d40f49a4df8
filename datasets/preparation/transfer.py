"""A file's bytes from a server, from where an earlier connection broke off."""

import os
from collections.abc import Callable
from typing import BinaryIO

import requests
from urllib3.exceptions import HTTPError

from datasets.table import DatasetError

ShowProgress = Callable[[int, int | None], object]  # bytes that are there, bytes in all if known

CHUNK = 1 << 20  # bytes
READ_TIMEOUT = 30  # seconds without a byte after which a connection counts as broken
BROKEN = (requests.ConnectionError, requests.Timeout, HTTPError)
PART, NOTHING_THERE = 206, 416  # answers to a Range
RETRYABLE = (408, 425, 429, 500, 502, 503, 504)  # answers of a server that may soon give another


class ConnectionLostError(Exception):
    """The connection broke off, or the server is busy: worth another attempt."""


class HttpFile:
    """A file at a server, in the version that was met first."""

    def __init__(self, url: str) -> None:
        self.url, self.version = url, ""

    def append_to(self, target: BinaryIO, show: ShowProgress) -> None:
        """Write all bytes from the end of the target on, or from the first if the server must.

        Raises:
            BrokenOffError: not all came; those that did are in the target.
        """
        start = {"Range": f"bytes={length(target)}-"} if length(target) else {}
        only = {"If-Range": self.version} if start and self.version else {}
        plain = {"Accept-Encoding": "identity"}  # the bytes that the checksum is of
        try:
            with requests.get(
                self.url, headers=plain | start | only, stream=True, timeout=READ_TIMEOUT
            ) as response:
                self._check(response)
                if not continues(response, length(target)):
                    target.truncate(0)
                    insist_on_all(response)
                copy(response, target, show)
        except BROKEN as error:
            raise ConnectionLostError(str(error)) from error
        except requests.RequestException as error:
            raise DatasetError(f"cannot download {self.url}: {error}") from error

    def _check(self, response: requests.Response) -> None:
        said = f"the server answers {response.status_code} {response.reason}"
        if response.status_code in RETRYABLE:
            raise ConnectionLostError(said)
        if not response.ok and response.status_code != NOTHING_THERE:
            raise DatasetError(f"cannot download {self.url}: {said}")
        tag = response.headers.get("ETag", "W/")
        weak = tag.startswith("W/")  # says nothing about bytes
        self.version = response.headers.get("Last-Modified", "") if weak else tag


def continues(response: requests.Response, start: int) -> bool:
    """Whether the answer is the rest from byte `start` on, as asked, and not something else."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def insist_on_all(response: requests.Response) -> None:
    if response.status_code in (PART, NOTHING_THERE):
        raise ConnectionLostError("the server gives another part than it was asked for")


def copy(response: requests.Response, target: BinaryIO, show: ShowProgress) -> None:
    there = length(target)
    announced = response.headers.get("Content-Length")
    total = there + int(announced) if announced else None
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        there += target.write(chunk)
        show(there, total)
    if total is not None and there < total:
        raise ConnectionLostError(f"the connection broke off after {there:,} of {total:,} bytes")


def length(target: BinaryIO) -> int:
    return target.seek(0, os.SEEK_END)
