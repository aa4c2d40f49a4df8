"""A server on the loopback address that gives out files, and misbehaves as real ones do."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What it gives out, and how.

    Attributes:
        files: path -> content.
        version: its ETag.
        ranges: whether it can continue where it was interrupted.
        breaks: after how many bytes it drops each of the next connections; None sends all.
        stalls: after so many bytes of an answer it sends nothing more, and holds the line.
        answers: status of each of the next requests, instead of what was asked for.
        shift: by how many bytes the parts it gives begin too late.
        encoding: its Content-Encoding, which it only claims.
        asked: the headers of every request.
        sent: bytes of content.
    """

    files: dict[str, bytes]
    version: str = '"1"'
    ranges: bool = True
    breaks: list[int | None] = field(default_factory=list)
    stalls: int | None = None
    answers: list[int] = field(default_factory=list)
    shift: int = 0
    encoding: str | None = None
    asked: list[Message] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, server)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def answer(handler: BaseHTTPRequestHandler, server: FileServer) -> None:
    server.asked.append(handler.headers)
    if server.answers:
        return handler.send_error(server.answers.pop(0))
    if handler.path not in server.files:
        return handler.send_error(404)
    content, start = server.files[handler.path], 0
    wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    same = handler.headers.get("If-Range", server.version) == server.version
    if server.ranges and wanted and same:
        start = int(wanted[1]) + server.shift
        if start >= len(content):
            return handler.send_error(416)
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    handler.send_header("ETag", server.version)
    handler.send_header("Content-Length", str(len(content) - start))
    if server.encoding:
        handler.send_header("Content-Encoding", server.encoding)
    handler.end_headers()
    return send(handler, server, content[start:])


def send(handler: BaseHTTPRequestHandler, server: FileServer, rest: bytes) -> None:
    limit = server.breaks.pop(0) if server.breaks else None
    part = rest[: limit if server.stalls is None else server.stalls]
    handler.wfile.write(part)
    handler.wfile.flush()
    server.sent += len(part)
    if server.stalls is not None:
        server.closing.wait(60)
    handler.close_connection = True
