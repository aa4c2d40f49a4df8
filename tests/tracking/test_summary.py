import pytest

from tracking.summary import best_of, direction_of, summarise

DIRECTIONS = {"recall@1": True, "nmi": True, "loss": False, "dists": None, "rho": None}


def evaluation(step: int, val: float | None, **test: object) -> dict[str, object]:
    measured = {f"test/{name.replace('_at_', '@')}": value for name, value in test.items()}
    return {
        "step": step,
        "epoch": step // 10,
        "time": 0.0,
        **({} if val is None else {"val/recall@1": val}),
        **measured,
    }


RUN = [
    evaluation(10, 0.3, recall_at_1=0.5, nmi=0.9, loss=3.0, dists=0.1, rho=[1.0]),
    {"step": 15, "epoch": 1, "time": 0.0, "train/loss": 9.0},
    evaluation(20, 0.7, recall_at_1=0.6, nmi=0.2, loss=1.0, dists=0.2, rho=[2.0]),
    evaluation(30, 0.7, recall_at_1=0.8, nmi=0.3, loss=2.0, dists=0.3, rho=[3.0]),
    evaluation(40, 0.5, recall_at_1=0.7, nmi=0.4, loss=2.5, dists=0.4, rho=[4.0]),
]


def test_three_readings_by_hand() -> None:
    summary = summarise(RUN, "val/recall@1", DIRECTIONS)
    assert summary["last"]["step"] == 40
    assert summary["last"]["test/recall@1"] == 0.7
    assert summary["selected"]["step"] == 20  # of two equal ones the earlier
    assert summary["selected"]["epoch"] == 2
    assert summary["selected"]["test/recall@1"] == 0.6
    assert summary["selected"]["selected_on"] == "val/recall@1"
    oracle = summary["oracle"]
    assert oracle["test/recall@1"] == 0.8
    assert oracle["test/nmi"] == 0.9
    assert oracle["test/loss"] == 1.0  # lower is better
    assert oracle["test/dists"] == 0.3  # no direction: where test/recall@1 is best
    assert oracle["test/rho"] == [3.0]
    assert oracle["steps"] == {
        "test/recall@1": 30,
        "test/nmi": 10,
        "test/loss": 20,
        "test/dists": 30,
        "test/rho": 30,
    }


def test_the_metrics_of_one_of_several_embeddings_have_their_direction() -> None:
    run = [
        {"step": step, "epoch": step, "val/slice_1/loss": loss, **test}
        for step, loss, test in (
            (1, 0.3, {"test/slice_1/loss": 2.0, "test/slice_1/recall@1": 0.4}),
            (2, 0.1, {"test/slice_1/loss": 1.0, "test/slice_1/recall@1": 0.2}),
            (3, 0.2, {"test/slice_1/loss": 3.0, "test/slice_1/recall@1": 0.3}),
        )
    ]
    summary = summarise(run, "val/slice_1/loss", DIRECTIONS)
    assert summary["selected"]["step"] == 2
    assert summary["oracle"]["steps"] == {"test/slice_1/loss": 2, "test/slice_1/recall@1": 1}


def test_the_whole_name_of_a_metric_comes_before_its_last_part() -> None:
    directions = {"recall@1": True, "nmi": True, "nmi/std": None, "loss/low": False}
    assert direction_of("test/recall@1", directions) is True
    assert direction_of("test/nmi/std", directions) is None
    assert direction_of("val/slice_1/nmi/std", directions) is None
    assert direction_of("val/slice_1/loss/low", directions) is False
    assert direction_of("test/recall@1/WOMEN/Dresses", directions) is None  # as in earlier runs
    assert direction_of("recall@1", directions) is True


def test_the_oracle_never_looks_at_validation() -> None:
    names = summarise(RUN, "val/recall@1", DIRECTIONS)["oracle"]
    assert all(name.startswith("test/") for name in names if name != "steps")


def test_nothing_is_selected_without_validation_and_it_says_why() -> None:
    summary = summarise([evaluation(10, None, recall_at_1=0.5)], "val/recall@1", DIRECTIONS)
    assert summary["selected"] is None
    assert summary["selected_reason"] == (
        "val/recall@1 was never measured: there is no validation split"
    )


@pytest.mark.parametrize(
    ("queries", "reason"),
    [(0, "no validation image has another one of its class"), (9, "none of the metrics")],
)
def test_a_validation_split_that_is_there_is_not_denied(queries: int, reason: str) -> None:
    """A user set one image of each class aside, and read that there is no validation split."""
    record = {"step": 1, "epoch": 1, "test/recall@1": 0.5, "val/num_queries": queries}
    summary = summarise([record], "val/recall@1", {"recall@1": True})
    assert summary["selected"] is None
    assert reason in summary["selected_reason"]
    assert summary["last"]["test/recall@1"] == 0.5


def test_a_lower_validation_loss_is_selected() -> None:
    run = [{**record, "val/loss": -record["step"]} for record in RUN if "test/loss" in record]
    assert summarise(run, "val/loss", DIRECTIONS)["selected"]["step"] == 40


def test_a_value_that_was_not_finite_is_never_the_best() -> None:
    run = [evaluation(1, None, recall_at_1=None), evaluation(2, None, recall_at_1=0.1)]
    assert best_of(run, "test/recall@1", DIRECTIONS)["step"] == 2


def test_a_run_without_evaluation_has_no_summary() -> None:
    with pytest.raises(ValueError, match="no evaluation"):
        summarise([{"step": 1, "epoch": 0, "train/loss": 1.0}], "val/recall@1", DIRECTIONS)


def test_a_name_without_a_split_is_no_reason_to_fail() -> None:
    """A run of an earlier version selected on `recall@1`, which is measured nowhere."""
    assert summarise(RUN, "recall@1", DIRECTIONS)["selected"] is None
