"""`python main.py --help` names every group, and what it says is true of conf/."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from engine.config.compose import compose_run
from engine.config.errors import ConfigurationError
from engine.config.help import GROUPS, KEYS, WIDTH, help_text
from engine.config.run_name import CONF

# prepare_data, the sweeper that searches, and scripts.index
OF_OTHER_COMMANDS = {"download", "search", "hydra", "index"}


def test_the_overview_names_every_group_with_its_number_of_choices() -> None:
    text = help_text()
    for group in (path for path in CONF.iterdir() if path.is_dir()):
        if group.name not in OF_OTHER_COMMANDS:
            number = len(list(group.rglob("*.yaml")))
            assert re.search(rf"^  {group.name} +{number}  ", text, re.MULTILINE), group.name


def test_the_overview_shows_usage_examples_options_and_where_the_documentation_is() -> None:
    text = help_text()
    for part in ("usage: python main.py", "examples", "--multirun", "--hydra-help", "docs/"):
        assert part in text


@pytest.mark.parametrize("words", [[], *([group] for group in GROUPS)], ids=["overview", *GROUPS])
def test_no_line_is_wider_than_a_terminal(words: list[str]) -> None:
    assert max(map(len, help_text(words).splitlines())) <= WIDTH


def test_the_choices_used_most_exist() -> None:
    for group, (_, popular) in GROUPS.items():
        for name in popular:
            assert (CONF / group / f"{name}.yaml").is_file(), f"{group}={name}"


def test_the_defaults_of_the_keys_are_those_of_a_run() -> None:
    config = compose_run([])
    for key in KEYS:
        shown = re.search(rf"^  {re.escape(key)}=(\S+)", help_text(), re.MULTILINE)
        if shown:
            value = OmegaConf.select(config, key)
            assert shown[1] == ("null" if value is None else str(value).lower()), key
        else:
            parent, _, name = key.rpartition(".")
            assert OmegaConf.is_interpolation(OmegaConf.select(config, parent), name), key


def test_the_examples_compose() -> None:
    examples = re.findall(r"^  python main\.py ((?:\S+=\S+ ?)+)", help_text(), re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        compose_run(example.replace("'", "").split())


def test_a_group_lists_each_choice_with_what_it_is() -> None:
    lines = help_text(["loss"]).splitlines()
    assert lines[0].startswith("loss=<choice>, one of ")
    for file in (CONF / "loss").glob("*.yaml"):
        (line,) = [line for line in lines if line.split()[:1] == [file.stem] and line[2] != " "]
        assert line.split()[1:], f"{file.stem} says nothing"


def test_a_choice_shows_the_docstring_and_the_keys() -> None:
    text = help_text(["loss=triplet"])
    assert "margin: 0.2" in text
    assert "Args:" in text


def test_other_words_of_the_command_line_change_nothing() -> None:
    assert help_text(["seed=3", "trainer.epochs=2"]) == help_text()


@pytest.mark.parametrize(
    ("word", "meant"), [("los", "did you mean 'loss'?"), ("loss=tripet", "did you mean 'triplet'?")]
)
def test_a_mistyped_word_is_an_error_with_the_one_that_was_meant(word: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(meant)):
        help_text([word])


def test_choices_of_a_users_own_folder_are_listed(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "cosine_triplet.yaml").write_text(
        "# Cosine triplet loss.\n_target_: a.B\n"
    )
    text = help_text(["loss"], str(tmp_path))
    assert re.search(r"cosine_triplet +Cosine triplet loss\.", text)
    assert re.search(r"triplet +\S", text)
