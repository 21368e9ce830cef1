"""Walking through a net along its own `forward`: its structure is described nowhere else."""

import operator
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from torch import fx, nn

from model_export.networks import Maps, SegmentationNet

PLUMBING = (operator.getitem, Maps)
"""What only takes tuples apart and puts them together."""


class Walk(fx.Interpreter):
    """Runs a net on values of any type; subclasses say what its operations make of them.

    Parameters
    ----------
    net
        Its `forward` must not look into values, nor at their shapes.
    whole
        Says of a module that it is one operation; torch's own are anyway, `nn.Sequential` excepted.
    """

    def __init__(self, net: SegmentationNet, whole: Callable[[nn.Module], bool]) -> None:
        super().__init__(fx.GraphModule(net, _Tracer(whole).trace(net)))
        self.extra_traceback = False

    @abstractmethod
    def layer(self, layer: nn.Module, *values: Any) -> Any:
        """Return what a module makes of values."""

    @abstractmethod
    def function(self, function: Callable[..., Any], *values: Any) -> Any:
        """Return what a function, called outside of any such module, makes of values."""

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Hand a module over."""
        return self.layer(self.fetch_attr(target), *args, **kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Hand a function over."""
        if target in PLUMBING:
            return target(*args, **kwargs)
        return self.function(target, *args, **kwargs)


class _Tracer(fx.Tracer):
    def __init__(self, whole: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self._whole = whole

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return self._whole(module) or super().is_leaf_module(module, name)
