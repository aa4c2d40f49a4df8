import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from architectures.pretrained import WeightsUnavailableError, load_pretrained, weights_cache

WEIGHTS = {"head.weight": torch.arange(6.0).view(2, 3)}


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a server on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub" / "checkpoints"


def publish(folder: Path) -> Path:
    """A weights file named as torch.hub wants it: with its own digest."""
    torch.save(WEIGHTS, folder / "net.pth")
    digest = hashlib.sha256((folder / "net.pth").read_bytes()).hexdigest()[:8]
    return (folder / "net.pth").rename(folder / f"net-{digest}.pth")


def test_downloads_once_to_torch_home(server: tuple[str, Path], cache: Path) -> None:
    address, folder = server
    file = publish(folder)
    assert weights_cache() == cache
    assert torch.equal(
        load_pretrained(f"{address}/{file.name}")["head.weight"], WEIGHTS["head.weight"]
    )
    assert [path.name for path in cache.iterdir()] == [file.name]
    file.unlink()  # a second time needs no server
    assert load_pretrained(f"{address}/{file.name}").keys() == WEIGHTS.keys()


def test_a_corrupted_download_is_refused_and_not_kept(
    server: tuple[str, Path], cache: Path
) -> None:
    address, folder = server
    file = publish(folder)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsUnavailableError, match="invalid hash value"):
        load_pretrained(f"{address}/{file.name}")
    assert list(cache.iterdir()) == []


def test_a_corrupted_file_in_the_cache_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    file = publish(cache)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsUnavailableError, match=r"is not the file published .* Delete it"):
        load_pretrained(f"http://127.0.0.1:1/{file.name}")


@pytest.mark.parametrize("reachable", [True, False])
def test_a_failed_download_says_how_to_place_the_file(
    reachable: bool, server: tuple[str, Path], cache: Path
) -> None:
    url = f"{server[0] if reachable else 'http://127.0.0.1:1'}/net-01234567.pth"
    with pytest.raises(WeightsUnavailableError) as caught:
        load_pretrained(url)
    for part in (url, str(cache / "net-01234567.pth"), "TORCH_HOME", "backbone.pretrained=false"):
        assert part in str(caught.value)


def test_a_file_that_would_run_code_is_not_unpickled(cache: Path) -> None:
    cache.mkdir(parents=True)
    torch.save({"path": Path("x")}, cache / "net.pth")
    digest = hashlib.sha256((cache / "net.pth").read_bytes()).hexdigest()[:8]
    (cache / "net.pth").rename(cache / f"net-{digest}.pth")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_pretrained(f"http://127.0.0.1:1/net-{digest}.pth")
