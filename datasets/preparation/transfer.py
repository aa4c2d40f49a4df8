"""Transfer of a file over HTTP, from the byte at which an earlier connection broke."""

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
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416  # status codes of a range request
RETRYABLE = (408, 425, 429, 500, 502, 503, 504)  # status codes of a server that may recover soon


class ConnectionLostError(Exception):
    """Connection lost: it broke or the server is busy; another attempt may succeed."""


class HttpFile:
    """File on an HTTP server, in the version of the first response."""

    def __init__(self, url: str) -> None:
        self.url, self.version = url, ""

    def append_to(self, target: BinaryIO, show: ShowProgress) -> None:
        """Append the bytes after those of the target; restart if the server cannot resume.

        Raises:
            ConnectionLostError: some bytes are missing; those received are in the target.
            DatasetError: the server refuses.
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
                    check_complete(response)
                copy(response, target, show)
        except BROKEN as error:
            raise ConnectionLostError(str(error)) from error
        except requests.RequestException as error:
            raise DatasetError(f"cannot download {self.url}: {error}") from error

    def _check(self, response: requests.Response) -> None:
        answer = f"the server answers {response.status_code} {response.reason}"
        if response.status_code in RETRYABLE:
            raise ConnectionLostError(answer)
        if not response.ok and response.status_code != RANGE_NOT_SATISFIABLE:
            raise DatasetError(f"cannot download {self.url}: {answer}")
        tag = response.headers.get("ETag", "W/")
        weak = tag.startswith("W/")  # does not identify the bytes
        self.version = response.headers.get("Last-Modified", "") if weak else tag


def continues(response: requests.Response, start: int) -> bool:
    """Whether the response has the requested bytes, from `start` to the end."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def check_complete(response: requests.Response) -> None:
    """Check that the response has the whole file.

    Raises:
        ConnectionLostError: it has another part.
    """
    if response.status_code in (PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
        raise ConnectionLostError("the server sends another part than the requested one")


def copy(response: requests.Response, target: BinaryIO, show: ShowProgress) -> None:
    """Append the content of a response to the target.

    Raises:
        ConnectionLostError: fewer bytes arrive than announced.
    """
    received = length(target)
    announced = response.headers.get("Content-Length")
    total = received + int(announced) if announced else None
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        received += target.write(chunk)
        show(received, total)
    if total is not None and received < total:
        raise ConnectionLostError(f"the connection broke off after {received:,} of {total:,} bytes")


def length(target: BinaryIO) -> int:
    """Length of an open file in bytes; moves its position to the end."""
    return target.seek(0, os.SEEK_END)
