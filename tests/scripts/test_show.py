"""`python -m scripts.show` shows any choice of any group, and names similar ones."""

import re
from pathlib import Path

import pytest

from engine.config.choices import choices, folders, groups
from engine.config.run_name import CONF
from scripts.show import main


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def test_a_loss_has_its_formula_its_numbers_with_their_sources_and_its_paper(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = shown(capsys, "loss=margin")
    assert text.startswith("loss=margin\n\nMargin loss")
    for part in (
        "[d - β + margin]₊ of each positive pair",
        "beta: 1.2 # distance of unit vectors; initial value",
        "Roth et al. 2020",
        "source: Margin loss: Wu et al., Sampling Matters, ICCV 2017",
        "numbers (conf/loss/margin.yaml):",
    ):
        assert part in text
    place = re.search(r"^code: (criteria/margin\.py):(\d+)$", text, re.MULTILINE)
    assert place
    line = (CONF.parent / place[1]).read_text().splitlines()[int(place[2]) - 1]
    assert line.startswith("class Margin(")


def test_the_code_is_shown_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "def __init__(" not in shown(capsys, "loss=margin")
    text = shown(capsys, "loss=margin", "--code")
    assert "\nclass Margin(" in text
    assert "def __init__(" in text


@pytest.mark.parametrize("group", groups(folders()))
def test_every_choice_of_every_group_is_shown(
    group: str, capsys: pytest.CaptureFixture[str], subtests: pytest.Subtests
) -> None:
    for name, file in choices(group, folders()).items():
        with subtests.test(name):
            text = shown(capsys, f"{group}={name}")
            assert text.startswith(f"{group}={name}\n")
            assert file.read_text().rstrip() in text


@pytest.mark.parametrize(
    ("word", "docstring"),
    [
        ("hooks=ema", "Exponential moving average: averages the weights"),
        ("metric=recall", "Recall@k"),
        ("backbone=efficientnet_lite0", "timm model: a network of timm"),
        ("scheduler=cosine", "Cosine schedule"),
        ("loss=weighted_sum", "Weighted sum"),
    ],
)
def test_a_choice_whose_target_is_further_inside_has_its_docstring(
    word: str, docstring: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert docstring in shown(capsys, word)


def test_without_an_argument_every_group_and_choice_is_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = shown(capsys)
    assert max(map(len, text.splitlines())) <= 100
    for group in groups(folders()):
        assert re.search(rf"^{re.escape(group)}: \S", text, re.MULTILINE), group
        for name in choices(group, folders()):
            assert name.split("/")[0] in text


def test_several_words_give_several_pages(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "sampler", "batchminer=distance")
    assert text.index("sampler=<choice>, one of") < text.index("batchminer=distance\n")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("los", "los: there is no such group, did you mean 'loss'?"),
        ("loss=tripet", "loss=tripet: there is no such choice, did you mean 'triplet'?"),
        ("margin", "did you mean loss=margin or search=margin?"),
        ("loss=zzz", "loss has 50: adacos, angular,"),
    ],
)
def test_an_unknown_name_is_one_line_with_similar_ones(word: str, message: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main([word])
    assert str(raised.value).startswith("error: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_choices_of_a_users_own_folder_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_code").mkdir()
    (tmp_path / "own_code" / "mine.py").write_text('class Mine:\n    """Mine: my formula."""\n')
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "mine.yaml").write_text("_target_: own_code.mine.Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = shown(capsys, "loss=mine", "--config-dir", str(tmp_path / "conf"))
    assert "Mine: my formula." in text
    assert f"code: {tmp_path}/own_code/mine.py:1" in text
