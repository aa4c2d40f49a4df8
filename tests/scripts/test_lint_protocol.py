"""The old name of scripts.check_protocol."""

import runpy
import sys

import pytest

ARGUMENTS = ["experiment=roth2020/cub200/margin_b12_distance", "trainer.epochs=3"]


def outputs(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    """The exit code, stdout and stderr of `python -m <module>`."""
    monkeypatch.setattr(sys, "argv", [module, *ARGUMENTS])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    return ended.value.code, *capsys.readouterr()


def test_the_old_name_does_the_same_and_prints_one_deprecation_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = outputs("scripts.lint_protocol", monkeypatch, capsys)
    assert err == "scripts.lint_protocol is deprecated; use scripts.check_protocol\n"
    assert code == 1
    assert "trainer.epochs" in out
    assert outputs("scripts.check_protocol", monkeypatch, capsys) == (code, out, "")
