"""Names and sentences use the terms of the field; the words of earlier versions stay away.

docs/glossary.md says what each earlier word is called now. The lists hold only words that are
never right where they are forbidden; a word that is plain English is not on them.
"""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IDENTIFIERS = """
    crossed_hinges positives_of columns_of terms_of points_of to_weights or_else one_per_anchor
    values_are_at_hand doubtful settle MeasuredSet Members Look Looked Asked singly_and_combined
    LastLayer Unreduced disband forward_by_chunks Prefetched Encoded explained advised advice_on
    OF_THE_MACHINE claim_of keep_freed_memory BrokenOff Announce findings Counterpart
    counterparts COUNTERPARTS bare_steps plain_loop photographs Photographs pace Rhythm
    last_words thinned answerable confusions taken_for SAID insist replayed
    forward_chunked numbered_steps train_steps Claim _held _let_go reap contenders
    take_turns
""".split()  # noqa: SIM905 - shorter than one line per word
IDENTIFIERS_OUTSIDE_TESTS = """
    told contender counterpart rhythm friends holder spent race turns rivals itself
    departures looked absent twice
""".split()  # noqa: SIM905 - shorter than one line per word
PHRASES = [
    *("private english", "last words", "goes without saying", "what it costs to do so"),
    *("as it stands", "as they stand", "at hand", "for whoever", "what became of", "counterpart"),
    *("rivals", "contender"),
]
ALLOWED = {  # file or folder: why it may hold the words
    "docs/glossary.md": "the table of earlier words",
    "tracking/renamed_targets.py": "the names in configurations written before",
    "CHANGELOG.md": "tells of earlier versions in their words",
    "tests/earlier_runs/": "written by an earlier version",
    "results/": "written by earlier versions, and by other people",
    "tests/test_words.py": "this list",
}
PROSE = (".md", ".yaml")


def tracked(*suffixes: str) -> list[str]:
    """Files of the repository in which the words must not be."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if name.endswith(suffixes)
        and not name.startswith(tuple(ALLOWED))
        and (ROOT / name).exists()
    ]


def tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(source).readline)


def identifiers(source: str) -> dict[str, int]:
    """Every name in Python code, and the first line that has it."""
    found: dict[str, int] = {}
    for token in tokens(source):
        if token.type == tokenize.NAME:
            found.setdefault(token.string, token.start[0])
    return found


def prose(source: str) -> str:
    """Comments, docstrings and messages of Python code on one line."""
    code = (tokenize.NAME, tokenize.OP, tokenize.NUMBER)
    text = " ".join(token.string for token in tokens(source) if token.type not in code)
    return on_one_line(text.replace("#", " "))


def on_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).lower()


def phrases_in(text: str, phrases: list[str]) -> list[str]:
    return [phrase for phrase in phrases if re.search(rf"\b{re.escape(phrase)}", text)]


def words_of(name: str) -> list[str]:
    """The identifiers that a file must not have."""
    return IDENTIFIERS if name.startswith("tests/") else IDENTIFIERS + IDENTIFIERS_OUTSIDE_TESTS


def test_no_identifier_is_an_earlier_word() -> None:
    found = [
        f"{name}:{names[word]}: {word}"
        for name in tracked(".py")
        for names in [identifiers((ROOT / name).read_text())]
        for word in words_of(name)
        if word in names
    ]
    assert not found, "docs/glossary.md has the present word:\n" + "\n".join(found)


def test_no_sentence_has_an_earlier_phrase() -> None:
    found = [
        f"{name}: {phrase}"
        for name in tracked(".py", *PROSE)
        for text in [(ROOT / name).read_text()]
        for phrase in phrases_in(
            on_one_line(text) if name.endswith(PROSE) else prose(text),
            PHRASES,
        )
    ]
    assert not found, "say it in plain English:\n" + "\n".join(found)


def test_the_check_finds_a_word_and_a_phrase() -> None:
    source = '"""The rows\nas it stands."""\nor_else = contender  # what became\n# of it\n'
    assert set(IDENTIFIERS) & set(identifiers(source)) == {"or_else"}
    assert phrases_in(prose(source), PHRASES) == ["as it stands", "what became of"]


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_exists(name: str) -> None:
    """An exception that is no longer needed is removed."""
    assert (ROOT / name).exists()
