"""Deep leakage from gradients (Zhu, Liu, Han, NeurIPS 2019): rows whose gradient is the one that was seen.

The one attack that needs torch; nothing that serves imports it. The attacker knows the network and, to its favour, the
labels and the number of rows.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray

STEPS, STARTS = 600, 4


def gradient_of(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """Gradients, parameter by parameter, of the logistic loss summed over rows; differentiable in `inputs`."""
    logits = model(inputs)[:, 0]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return list(torch.autograd.grad(loss, list(model.parameters()), create_graph=True))


def matched(
    model: torch.nn.Module,
    seen: list[torch.Tensor],
    labels: NDArray[np.int64],
    mean: FloatArray,
    spread: FloatArray,
    seed: int,
) -> FloatArray:
    """Rows (rows, inputs) in −1 … 1 whose gradient is nearest to `seen`, the best of `STARTS` random starts.

    A start is around `mean` (inputs,) by half the `spread` (inputs,): what an attacker knows of any population.
    """
    rng = np.random.default_rng(seed)
    wanted = torch.from_numpy(labels.astype(np.float64))
    best, lowest = np.tile(mean, (len(labels), 1)), np.inf
    for _ in range(STARTS):
        start = mean + 0.5 * spread * rng.normal(size=(len(labels), len(mean)))
        rows, left = _descent(model, seen, wanted, start)
        if left < lowest:
            best, lowest = rows, left
    return np.clip(best, -1.0, 1.0)


def _descent(
    model: torch.nn.Module, seen: list[torch.Tensor], labels: torch.Tensor, start: FloatArray
) -> tuple[FloatArray, float]:
    """Rows from one start by L-BFGS, and the distance of gradients that is left, as a share of the gradient."""
    rows = torch.from_numpy(start).requires_grad_()
    whole = torch.stack([(part**2).sum() for part in seen]).sum()
    optimiser = torch.optim.LBFGS(
        [rows], max_iter=STEPS, tolerance_grad=1e-14, tolerance_change=1e-16, history_size=50,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def distance() -> torch.Tensor:
        gradient = gradient_of(model, rows, labels)
        return torch.stack([((a - b) ** 2).sum() for a, b in zip(gradient, seen, strict=True)]).sum() / whole

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = distance()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return np.asarray(rows.detach().numpy(), dtype=np.float64), float(distance().detach())
