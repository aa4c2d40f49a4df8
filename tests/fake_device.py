"""An accelerator that is none: tensors that claim to be on `cuda`, and what they make a host do.

torch's FakeTensorMode knows the device and the shape of every result and refuses operands of two
devices. Here each fake tensor has its numbers too, computed on the CPU, so that a program runs on
behind the places where it waits for the device, and its result can be compared.
"""

# ruff: noqa: ANN401  # an operator takes and gives anything

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ROOT = Path(__file__).parents[1]
DEVICE = torch.device("cuda", 0)
DATA_DECIDE = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
aten = torch.ops.aten


class FakeDevice(TorchDispatchMode):
    """Notes in `waits` where the host waits for the device: "core/tuples.py to_triplets".

    The host waits where it needs a value or a shape that the data decide, where a tensor is copied
    from one to the other (but for `non_blocking=True`), where an index is a mask or lies on the
    host, and where a factorisation reports whether it succeeded.

    Args:
        operators: the Python code of the project's own operators, which is looked into.
    """

    def __init__(self, operators: dict[str, Callable[..., Any]]) -> None:
        super().__init__()
        self.operators = operators
        self.waits: set[str] = set()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)

    def __enter__(self) -> "FakeDevice":
        self.fake.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.fake.__exit__(*error)

    def value(self, tensor: Tensor) -> Tensor:
        """Its numbers, on the CPU."""
        found: Tensor = getattr(tensor, "numbers", tensor)
        return found

    def placed(self, value: Tensor, device: torch.device = DEVICE) -> Tensor:
        """A tensor on the device with these numbers."""
        value = self.value(value)
        with self.fake:
            tensor = torch.empty_like(value, device=device)
        tensor.numbers = value  # type: ignore[attr-defined]
        return tensor

    def __torch_dispatch__(
        self, func: Any, _types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:
            return func(*args, **kwargs)
        if func.namespace == "dml" or func._can_decompose():  # made of others, which are seen here
            with self:
                made_of = self.operators.get(func._opname, func.decompose)
                return made_of(*args, **kwargs)
        waits = self._waits(func, args, kwargs)
        if waits:
            self.waits.add(place())
        with unset_fake_temporarily():
            given = tree_map(self._on_host, (args, kwargs))
            value = func(*given[0], **given[1])
        return self._result(func, args, kwargs, value)

    def _result(self, func: Any, args: Any, kwargs: Any, value: Any) -> Any:
        """What the device would give, its numbers being those of the value, on the CPU."""
        if decided_by_data(func):
            device = DEVICE if any(map(on_device, tree_leaves(args))) else torch.device("cpu")
            return tree_map(lambda x: self.placed(x, device) if isinstance(x, Tensor) else x, value)
        if "generator" in kwargs:
            kwargs["generator"] = None  # there is none for the device
        result = func(*args, **kwargs)
        for tensor, numbers in zip(tree_leaves(result), tree_leaves(value), strict=True):
            if isinstance(tensor, Tensor):
                tensor.numbers = numbers  # type: ignore[attr-defined]
        return result

    def _on_host(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return self.value(argument)
        return torch.device("cpu") if isinstance(argument, torch.device) else argument

    def _waits(self, func: Any, args: Any, kwargs: Any) -> bool:
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if func is aten._to_copy.default:
            target = kwargs.get("device", args[0].device)
            crosses = on_device(args[0]) != (torch.device(target).type == DEVICE.type)
            return crosses and not kwargs.get("non_blocking")
        if func is aten.copy_.default:
            return on_device(args[0]) != on_device(args[1]) and not (len(args) > 2 and args[2])
        if not any(map(on_device, tensors)):
            return False
        if func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            indices = [x for x in args[1] if x is not None]
            return any(x.dtype == torch.bool or not on_device(x) for x in indices)
        return func is aten._linalg_check_errors.default or decided_by_data(func)


def on_device(argument: object) -> bool:
    return getattr(argument, "fake_device", None) == DEVICE


def decided_by_data(func: Any) -> bool:
    """Whether the operator's result is a number on the host, or its shape is not known before."""
    return func is aten.index.Tensor or bool(DATA_DECIDE & set(func.tags))


def place() -> str:
    """File and function of the project that are at work."""
    frame = sys._getframe(1)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(ROOT) and "tests" not in file.parts and ".venv" not in file.parts:
            function = frame.f_code.co_qualname.split(".<locals>")[0]
            return f"{file.relative_to(ROOT)} {function}"
        frame = frame.f_back
    return "a test"


def move(device: FakeDevice, module: nn.Module) -> nn.Module:
    """`module.to("cuda")`, in place: parameters and buffers, and nothing else."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                placed = device.placed(parameter.detach())
                part._parameters[name] = placed.requires_grad_(parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = device.placed(buffer)
    return module
