"""A network that teaches and never learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class Frozen(nn.Module, Generic[Network]):
    """Keeps a network in eval mode, without gradients, and out of every ``state_dict``: its
    weights come from a file.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        # In a tuple it is no module of this one: no train(), parameters() or state_dict() finds
        # it. Moving it is left, which _apply does.
        self._hidden = (network.eval().requires_grad_(False),)

    @property
    def network(self) -> Network:
        return self._hidden[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frozen[Network]:
        self.network._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
