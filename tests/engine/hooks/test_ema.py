"""The average of the weights beside a loop over NumPy arrays, and what a run does with it."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.hooks.ema import ExponentialMovingAverage
from engine.hooks.weights_hook import exchanged
from tests.engine.hooks.contexts import context
from tests.fake_device import FakeDevice, move

STEPS = 25


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)).double()


def random_step(model: nn.Module, step: int) -> None:
    """Change parameters, and the statistics of BatchNorm."""
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype)
        model.train()(torch.randn(8, 4, generator=draw, dtype=torch.float64))


def arrays(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9])
def test_it_is_the_average_of_a_plain_loop(decay: float, warmup: bool) -> None:
    model, hook = network(), ExponentialMovingAverage(decay, warmup)
    parameters = {name for name, _ in model.named_parameters()}
    hook.start(context(model=model))
    expected = arrays(model)
    for t in range(STEPS):
        random_step(model, t)
        hook.after_step(context(t + 1, model=model))
        used = decay
        if warmup and (1 + t) / (10 + t) < decay:
            used = (1 + t) / (10 + t)
        for name, value in arrays(model).items():
            averaged = used * expected[name] + (1 - used) * value
            expected[name] = averaged if name in parameters else value
    for name, value in arrays(hook.copy).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_restored_average_goes_on_with_the_same_bits() -> None:
    def train(hook: ExponentialMovingAverage, model: nn.Module, steps: range) -> None:
        for step in steps:
            random_step(model, step)
            hook.after_step(context(step + 1, model=model))

    whole, model = ExponentialMovingAverage(0.9), network()
    whole.start(context(model=model))
    train(whole, model, range(4))
    saved = {"model": {k: v.clone() for k, v in whole.copy.state_dict().items()}, "updates": 4}
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    train(whole, model, range(4, 9))

    resumed, again = ExponentialMovingAverage(0.9), network()
    resumed.start(context(model=again))
    again.load_state_dict(weights)
    resumed.load_state_dict(saved)
    train(resumed, again, range(4, 9))
    for name, value in whole.copy.state_dict().items():
        assert value.equal(resumed.copy.state_dict()[name]), name
    assert whole.state_dict()["updates"] == resumed.state_dict()["updates"] == 9


def test_exchanged_weights_are_given_back_even_after_an_error() -> None:
    model, other = network(), network()
    random_step(other, 0)
    before, copied = arrays(model), arrays(other)
    images = torch.randn(5, 4, dtype=torch.float64)
    expected = other.eval()(images)
    with exchanged(model, other):
        assert model.eval()(images).equal(expected)
    with pytest.raises(KeyError), exchanged(model, other):
        raise KeyError
    for name in before:
        np.testing.assert_array_equal(arrays(model)[name], before[name])
        np.testing.assert_array_equal(arrays(other)[name], copied[name])


def test_the_optimizer_goes_on_with_the_weights_that_were_exchanged() -> None:
    """It holds the parameters, not their memory."""
    model, alone = network(), network()
    hook = ExponentialMovingAverage(0.5)
    hook.start(context(model=model))
    optimizers = [torch.optim.Adam(one.parameters()) for one in (model, alone)]
    for step in range(3):
        images = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        for one, optimizer in zip((model, alone), optimizers, strict=True):
            optimizer.zero_grad()
            one(images).square().sum().backward()
            optimizer.step()
        hook.after_step(context(step, model=model))
        with exchanged(model, hook.copy):
            pass
    for name, value in model.state_dict().items():
        assert value.equal(alone.state_dict()[name]), name


def test_a_compiled_backbone_is_copied() -> None:
    model = network()
    model.compile()
    hook = ExponentialMovingAverage()
    hook.start(context(model=model))
    assert arrays(hook.copy).keys() == arrays(model).keys()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"decay": 1.0}, r"in \[0, 1\), got 1"),
        ({"name": "a/b"}, "name='a/b'"),
        ({"name": ""}, "name=''"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExponentialMovingAverage(**values)  # type: ignore[arg-type]


def test_results_beside_keep_split_and_metric() -> None:
    hook = ExponentialMovingAverage()
    results = {"test/recall@1": 0.5, "test/num_queries": 9, "val/map@r/class_average": 0.25}
    assert hook.named(results) == {
        "test/ema/recall@1": 0.5,
        "val/ema/map@r/class_average": 0.25,
    }


def test_no_step_waits_for_the_device() -> None:
    device, hook = FakeDevice({}), ExponentialMovingAverage(0.5)
    model, hook.copy = move(device, network()), move(device, network())
    with device:
        hook.after_step(context(model=model))
    assert hook.updates == 1
    assert not device.waits
