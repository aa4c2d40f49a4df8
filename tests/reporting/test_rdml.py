"""The logs of the public code of Roth et al., in its own format."""

from pathlib import Path

import pytest

from core.errors import UserError
from reporting.readers.rdml import read_rdml
from scripts.aggregate import main
from tests.run_folders import write_run

SECRET = "0123456789abcdef0123456789abcdef01234567"
PARAMETERS = {
    "dataset": "cub200",
    "seed": "3",
    "group": "CUBreg_Margin_b12_Distance",
    "wandb_key": SECRET,
    "source_path": "/somewhere/cub200",
    "loss": "margin",
    "arch": "resnet50_frozen_normalize",
}


def write_logs(root: Path, name: str = "CUBreg_Margin_b12_Distance_s3", **told: str) -> Path:
    """One run of three epochs."""
    folder = root / name
    (folder / "CSV_Logs").mkdir(parents=True)
    lines = [f"{key}\n\t{value}\n\n" for key, value in {**PARAMETERS, **told}.items()]
    (folder / "Parameter_Info.txt").write_text("".join(lines))
    (folder / "training_summary.txt").write_text("Training Time: 2.5 min.\n---------------\n")
    files = {
        "Train_epochs": "epochs\n0\n1\n2\n",
        "Train_loss": "loss\n0.5\n0.4\nnan\n",
        "Train_discriminative_rho_spectrum": (
            "rho_spectrum@0,rho_spectrum@2\n[0.1 0.2],0.3\n[0.1 0.2],0.2\n[0.1 0.2],0.1\n"
        ),
        "Test_discriminative_e_recall": "e_recall@1,e_recall@2\n.60,.70\n.65,.72\n.62,.75\n",
        "Test_discriminative_nmi": "nmi\n.5\n.4\n.6\n",
        "Test_discriminative_mAP": "mAP\n.1\n.1\n.1\n",
        "Test_discriminative_dists": "dists@intra_over_inter\n.5\n.5\n.5\n",
        "Model Grad_L2": "Grad L2\n.1\n",
    }
    for file, text in files.items():
        (folder / "CSV_Logs" / f"Data_{file}.csv").write_text(text)
    return root


def test_a_run_is_read_under_our_names(tmp_path: Path) -> None:
    (run,) = read_rdml(write_logs(tmp_path))
    assert (run.dataset, run.group, run.seed) == ("cub200", "rdml_r_margin_b12_distance", 3)
    assert (run.state, run.cost["seconds"]) == ("finished", 150)
    assert run.records[0] == {
        "step": 1,
        "epoch": 1.0,
        "test/dists@ratio": 0.5,
        "test/recall@1": 0.6,
        "test/recall@2": 0.7,
        "test/nmi": 0.5,
        "train/loss": 0.5,
        "train/rho_spectrum@2": 0.3,
    }
    assert run.records[2]["train/loss"] is None
    assert (run.readings["last"] or {})["test/recall@1"] == 0.62
    oracle = run.readings["oracle"] or {}
    assert [oracle[f"test/{m}"] for m in ("recall@1", "recall@2", "nmi")] == [0.65, 0.75, 0.6]
    assert SECRET not in str(run)
    assert "somewhere" not in str(run)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("CUB_Npair", "rdml_npair"),
        ("CARreg_Contrastive", "rdml_r_contrastive"),
        ("SOP_MS", "rdml_ms"),
        ("mine_s2", "rdml_mine"),
    ],
)
def test_groups_line_up_across_datasets(name: str, group: str, tmp_path: Path) -> None:
    (run,) = read_rdml(write_logs(tmp_path, group=name, dataset="online_products"))
    assert (run.dataset, run.group) == ("sop", group)


def test_a_run_that_did_not_end_is_not_called_finished(tmp_path: Path) -> None:
    (write_logs(tmp_path) / "CUBreg_Margin_b12_Distance_s3" / "training_summary.txt").unlink()
    (run,) = read_rdml(tmp_path)
    assert run.state == "interrupted"


def test_a_run_without_its_parameters_is_named(tmp_path: Path) -> None:
    (write_logs(tmp_path, "lost") / "lost" / "Parameter_Info.txt").unlink()
    with pytest.raises(UserError, match="does not say the dataset and the seed"):
        list(read_rdml(tmp_path))


def test_old_runs_join_our_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_logs(tmp_path / "old")
    ours = {"test/recall@1": 0.7, "test/nmi": 0.3}
    write_run(tmp_path / "new", "cub200/margin_0badcafe/seed3", ours)
    sources = [str(tmp_path / "new"), f"rdml={tmp_path / 'old'}"]
    main([*sources, "--metrics", "recall@1", "--reading", "oracle"])
    rows = capsys.readouterr().out.splitlines()[4:]
    assert rows == [
        "| margin | **70.0** (n=1) |",
        "| rdml_r_margin_b12_distance | <ins>65.0</ins> (n=1) |",
    ]


def test_damaged_logs_are_named_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk damaged the logs of one of two runs."""
    write_logs(tmp_path)
    write_logs(tmp_path, "CUB_Other_s4", seed="4", group="CUB_Other")
    broken = tmp_path / "CUB_Other_s4"
    (broken / "CSV_Logs" / "Data_Test_discriminative_nmi.csv").write_bytes(b"nmi\n\xff\xfe,1,2\n")
    main([f"rdml={tmp_path}", "--metrics", "recall@1", "--reading", "oracle"])
    told = capsys.readouterr()
    assert "rdml_r_margin_b12_distance" in told.out
    assert f"left out: {broken}: cannot be read" in told.err
