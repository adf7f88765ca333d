"""Adam (Kingma and Ba 2015), and with a weight decay AdamW (Loshchilov and Hutter 2019), by torch's own step.

torch's optimiser objects load torch's compiler at their first step, which takes as long as loading torch does and is
used by nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Moments of the gradients of `parameters`, with the constants that torch takes where nothing else is said.

    `foreach`: all parameters at once.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, rate: float, weight_decay: float = 0.0, foreach: bool = False
    ) -> None:
        self._parameters = list(parameters)
        self._rate, self._decay, self._foreach = rate, weight_decay, foreach
        self._first, self._second = ([torch.zeros_like(p) for p in self._parameters] for _ in range(2))
        self._steps = [torch.tensor(0.0) for _ in self._parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter, each of which has a gradient, by one step."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        adam(
            self._parameters, gradients, self._first, self._second, [], self._steps, foreach=self._foreach,
            decoupled_weight_decay=self._decay > 0, amsgrad=False, beta1=0.9, beta2=0.999, lr=self._rate,
            weight_decay=self._decay, eps=1e-8, maximize=False,
        )  # fmt: skip
