"""scripts.index and scripts.search as a user types them, on a run of a few steps."""

import json
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.load import load
from scripts.embed import main as embed_main
from scripts.index import main as index_main
from scripts.search import main as search_main
from tests.commands import command
from tests.programs import run_command

NUM = 12
MAIN = {"index": index_main, "search": search_main, "embed": embed_main}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return command(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images in two folders of classes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(NUM):
        path = folder / f"class {number % 2}" / f"{number:02} (1).png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def built(run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes") / "index"
    done = said("index", f"folder={folder}", f"run={run}", f"images={photos}")
    assert done == [f"{NUM} images, 128 dimensions, index=exact", str(folder)]
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """An index that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "index"))


def said(script: str, *arguments: str) -> list[str]:
    """The lines on standard output of a command that ends well, in this process."""
    with redirect_stdout(StringIO()) as output:
        MAIN[script](arguments)
    return output.getvalue().splitlines()


def error(script: str, *arguments: str) -> str:
    """The line of a command that fails, in this process."""
    with pytest.raises(SystemExit) as ended:
        MAIN[script](arguments)
    (line,) = str(ended.value).splitlines()
    assert line.startswith("error: ")
    assert "traceback" not in line
    return line


def search(index: Path, *arguments: str) -> list[dict[str, object]]:
    return json.loads("\n".join(said("search", f"folder={index}", "format=json", *arguments)))


def test_neighbours_of_an_image_are_those_of_its_embedding(
    index: Path, run: Path, photos: Path
) -> None:
    paths = sorted(str(path) for path in photos.rglob("*.png"))
    embeddings = load(run).embed(paths).numpy().astype(np.float64)
    similarities = embeddings @ embeddings.T
    found = search(index, f"images={photos}", "k=4")
    assert [entry["query"] for entry in found] == paths
    for query, entry in enumerate(found):
        order = [row for row in np.argsort(-similarities[query]) if row != query][:4]
        assert [neighbor["path"] for neighbor in entry["neighbors"]] == [
            paths[row] for row in order
        ]
        shown = [neighbor["similarity"] for neighbor in entry["neighbors"]]
        np.testing.assert_allclose(shown, similarities[query][order], atol=1e-6)
        assert entry["neighbors"][0]["label"] == Path(paths[order[0]]).parent.name


def test_the_commands_of_a_shell(run: Path, photos: Path, tmp_path: Path) -> None:
    folder, query = tmp_path / "index", photos / "class 0" / "02 (1).png"
    made = run_command("-m", "scripts.index", f"folder={folder}", f"run={run}", f"images={photos}")
    assert (made.returncode, made.stderr) == (0, "")
    found = run_command("-m", "scripts.search", f"folder={folder}", f"images={query}", "k=3")
    assert (found.returncode, found.stderr) == (0, "")
    assert [line.split()[-1] for line in found.stdout.splitlines()[1:]]
    failed = run_command("-m", "scripts.search", f"folder={folder}", f"images={query}", "k=13")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "error: k=13: the index has 12 images\n"


def test_images_are_removed_and_added_again(index: Path, photos: Path) -> None:
    removed = said("index", f"folder={index}", f"remove={photos / 'class 1'}")
    assert removed[0] == "6 images removed; the index has 6"
    query = f"images={photos / 'class 1' / '03 (1).png'}"
    (answer,) = search(index, query, "k=6")
    assert {neighbor["label"] for neighbor in answer["neighbors"]} == {"class 0"}
    assert "k=7: the index has 6 images" in error("search", f"folder={index}", query, "k=7")
    added = said("index", f"folder={index}", f"add={photos}")
    assert added[0] == "6 images added, 6 were there; the index has 12"
    assert said("index", f"folder={index}", f"add={photos}")[0].startswith("all 12 images are in")
    assert len(search(index, query, "k=12")[0]["neighbors"]) == 11


def test_a_table_and_a_picture_are_made(index: Path, photos: Path, tmp_path: Path) -> None:
    picture = tmp_path / "neighbors.png"
    lines = said("search", f"folder={index}", f"images={photos}", "k=2", f"picture={picture}")
    assert len(lines) == 1 + 2 * NUM
    assert lines[0].split() == ["query", "rank", "similarity", "path", "label"]
    with Image.open(picture) as image:
        assert image.width > 1000


def test_several_images_are_queries(index: Path, photos: Path) -> None:
    names = [photos / "class 0" / "02 (1).png", photos / "class 1" / "03 (1).png"]
    found = search(index, f"images=[{names[0]}, {names[1]}]", "k=1", "include_self=true")
    assert [entry["neighbors"][0]["path"] for entry in found] == list(map(str, names))


def test_an_index_of_embeddings_finds_the_run_by_itself(
    run: Path, photos: Path, index: Path, tmp_path: Path
) -> None:
    file, other = tmp_path / "photos.parquet", tmp_path / "other"
    said("embed", f"run={run}", f"images={photos}", f"out={file}")
    assert said("index", f"folder={other}", f"embeddings={file}", "index=hnsw")[:2] == [
        f"{NUM} images, 128 dimensions, index=hnsw",
        "recall@10 against the exact index: 1.0000 (12 queries)",
    ]
    assert search(other, f"images={photos}", "k=3") == search(index, f"images={photos}", "k=3")
    assert search(other, f"embeddings={file}", "k=3") == search(index, f"images={photos}", "k=3")


def test_another_checkpoint_is_refused(
    index: Path, run: Path, photos: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    assert search(index, f"images={photos}", f"run={moved}", "k=1")
    other = command(tmp_path / "runs", "seed=1")
    line = error("search", f"folder={index}", f"images={photos}", f"run={other}")
    assert "is not the checkpoint that made the embeddings of the index" in line
    file = tmp_path / "other.parquet"
    said("embed", f"run={other}", f"images={photos}", f"out={file}")
    for script, key in {"search": "embeddings", "index": "add"}.items():
        line = error(script, f"folder={index}", f"{key}={file}")
        assert f"{file} has embeddings of last.pt of {other}, which cannot be compared" in line
    assert search(index, f"images={photos}", "k=12", "include_self=true")  # nothing was added


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("index", ["folder={index}"], "give one of images=, embeddings=, add=, remove="),
        ("index", ["images={photos}"], "folder: is missing; say folder=..."),
        ("index", ["folder={index}", "images={photos}", "run={run}"], "holds an index: add= adds"),
        ("index", ["folder={photos}", "images={photos}", "run={run}"], "holds other files; name a"),
        ("index", ["folder={tmp}/a", "images={photos}"], "name it, run=<run>"),
        ("index", ["folder={tmp}/a", "images={tmp}/no", "run={run}"], "no does not exist"),
        ("index", ["folder={tmp}/a", "images={tmp}", "run={run}"], "has no images"),
        ("index", ["folder={tmp}/a", "add={photos}"], "holds no index; python -m scripts.index"),
        ("index", ["folder={index}", "remove=no.jpg"], "no.jpg is not in the index: it has 12"),
        ("index", ["folder={tmp}/a", "images={photos}", "index=lsh"], "index/lsh"),
        ("index", ["folder={tmp}/a", "images={photos}", "index=hnsw", "index.m=0"], "index.m=0"),
        (
            "index",
            ["folder={tmp}/a", "images={photos}", "run={run}", "index=ivfpq"],
            "needs at least 9,984 images, there are 12",
        ),
        ("search", ["folder={index}"], "name the queries: images="),
        ("search", ["folder={index}", "images={photos}", "k=0"], "k=0"),
        ("search", ["folder={index}", "images={photos}", "kk=3"], "kk"),
        ("search", ["folder={index}", "images={photos}", "k=13"], "k=13: the index has 12 images"),
        ("search", ["folder={index}", "images={tmp}/no.jpg"], "no.jpg"),
        ("search", ["folder={photos}", "images={photos}"], "holds no index"),
        ("search", ["folder={index}", "images={photos}", "picture=a.gif"], "must end with .png"),
        ("search", ["folder={index}", "images={photos}", "effort=4"], "always compares all images"),
    ],
)
def test_what_is_wrong_is_one_line(
    script: str,
    arguments: list[str],
    message: str,
    built: Path,
    run: Path,
    photos: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp = tmp_path_factory.mktemp("empty")
    given = [text.format(index=built, run=run, photos=photos, tmp=tmp) for text in arguments]
    assert message in error(script, *given)


@pytest.mark.parametrize("script", ["index", "search"])
def test_help_lists_every_key(script: str) -> None:
    text = "\n".join(said(script, "--help"))
    for key in ("folder", "images", "embeddings", "run", "trust"):
        assert f"\n{key}: " in text
