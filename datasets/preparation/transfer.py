"""Read a file from a server, starting at the byte where an earlier connection broke off."""

import os
from collections.abc import Callable
from typing import BinaryIO

import requests
from urllib3.exceptions import HTTPError

from datasets.table import DatasetError

ShowProgress = Callable[[int, int | None], object]  # bytes so far, bytes in total if known

CHUNK = 1 << 20  # bytes
READ_TIMEOUT = 30  # seconds without a byte after which a connection counts as broken
BROKEN = (requests.ConnectionError, requests.Timeout, HTTPError)
PART, NOTHING_THERE = 206, 416  # answers to a Range
RETRYABLE = (408, 425, 429, 500, 502, 503, 504)  # answers of a server that may recover soon


class ConnectionLostError(Exception):
    """The connection broke off, or the server is busy; another attempt may succeed."""


class HttpFile:
    """A file on a server, in the version of the first answer."""

    def __init__(self, url: str) -> None:
        self.url, self.version = url, ""

    def append_to(self, target: BinaryIO, show: ShowProgress) -> None:
        """Append the bytes that follow the target's; begin anew if the server cannot continue.

        Raises:
            BrokenOffError: some bytes are missing; those that arrived are in the target.
        """
        offset = {"Range": f"bytes={length(target)}-"} if length(target) else {}
        unchanged = {"If-Range": self.version} if offset and self.version else {}
        uncompressed = {"Accept-Encoding": "identity"}  # the checksum is of these bytes
        try:
            headers = uncompressed | offset | unchanged
            with requests.get(
                self.url, headers=headers, stream=True, timeout=READ_TIMEOUT
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
        answer = f"the server answers {response.status_code} {response.reason}"
        if response.status_code in RETRYABLE:
            raise ConnectionLostError(answer)
        if not response.ok and response.status_code != NOTHING_THERE:
            raise DatasetError(f"cannot download {self.url}: {answer}")
        tag = response.headers.get("ETag", "W/")
        weak = tag.startswith("W/")  # says nothing about bytes
        self.version = response.headers.get("Last-Modified", "") if weak else tag


def continues(response: requests.Response, start: int) -> bool:
    """Whether the answer holds the requested bytes, from `start` to the end."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def insist_on_all(response: requests.Response) -> None:
    if response.status_code in (PART, NOTHING_THERE):
        raise ConnectionLostError("the server sends another part than the requested one")


def copy(response: requests.Response, target: BinaryIO, show: ShowProgress) -> None:
    received = length(target)
    announced = response.headers.get("Content-Length")
    total = received + int(announced) if announced else None
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        received += target.write(chunk)
        show(received, total)
    if total is not None and received < total:
        raise ConnectionLostError(f"the connection broke off after {received:,} of {total:,} bytes")


def length(target: BinaryIO) -> int:
    return target.seek(0, os.SEEK_END)
