"""A small network by private stochastic gradient descent (Abadi et al., CCS 2016): the bank's half of one step.

Inputs are columns cut to their public ranges and scaled to −1 … 1 (levels as indicators), so nothing about them has to
be learnt first. Each record is drawn by itself with the same probability (Poisson sampling), its gradient is clipped
over all parameters together, and the sum of the clipped integers leaves the bank with noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call, vmap

from federated.errors import CorruptData, PrivacyPlanRefused
from federated.models.encoding.hats import IntArray
from federated.models.encoding.public_ranges import Levels, PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.bounding import clipped


class Sampler:
    """Draws who takes part in a step, by the operating system's randomness; who did stays inside the bank."""

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        self._rng = rng

    def taken(self, records: int, probability: float) -> NDArray[np.bool_]:
        """Mask (records,), each True with `probability` and independently."""
        # A fresh generator a step, from 128 bits of the system's entropy: earlier steps say nothing of it.
        rng = self._rng or np.random.default_rng()
        return np.asarray(rng.random(records) < probability)


def inputs(public: PublicTable, values: FloatArray) -> FloatArray:
    """What the network reads of `values` (rows, columns): (rows, inputs). Raises `CorruptData`."""
    parts = []
    for j, column in enumerate(public.columns):
        known = ~np.isnan(values[:, j])
        if not known.all() and not column.optional:
            raise CorruptData(f"column {column.column} is missing in a row", column=column.column)
        if isinstance(column, Levels):
            code = np.searchsorted(np.asarray(column.levels), values[:, j], side="right") - 1
            part = (np.maximum(code, 0)[:, None] == np.arange(len(column.levels))).astype(np.float64)
            part[~known] = 0.0
        else:
            low, high = column.ends
            part = ((column.spaced(values[:, j]) - low) / (high - low) * 2.0 - 1.0)[:, None]
            part[~known] = 0.0
        parts.append(part)
        if column.optional:
            parts.append((~known)[:, None].astype(np.float64))
    return np.hstack(parts)


def input_count(public: PublicTable) -> int:
    """Number of inputs."""
    return sum((len(c.levels) if isinstance(c, Levels) else 1) + c.optional for c in public.columns)


def network(public: PublicTable, hidden: int) -> torch.nn.Module:
    """One hidden layer, tanh, one logit; double precision, so that clipping is exact to the grid."""
    layers = (torch.nn.Linear(input_count(public), hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1))
    return torch.nn.Sequential(*layers).to(torch.float64)


def parameter_count(public: PublicTable, hidden: int) -> int:
    """Number of parameters."""
    return (input_count(public) + 1) * hidden + hidden + 1


def flat(model: torch.nn.Module) -> FloatArray:
    """All parameters in one vector."""
    return np.asarray(torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy(), dtype=np.float64)


def _named(model: torch.nn.Module, weights: FloatArray) -> dict[str, torch.Tensor]:
    if weights.shape != (sum(p.numel() for p in model.parameters()),) or not np.all(np.isfinite(weights)):
        raise PrivacyPlanRefused(f"weights of {weights.shape} do not fit the network")
    named, start = {}, 0
    for name, parameter in model.named_parameters():
        part = weights[start : start + parameter.numel()]
        named[name] = torch.from_numpy(part.copy()).reshape(parameter.shape)
        start += parameter.numel()
    return named


def logits(public: PublicTable, hidden: int, weights: FloatArray, values: FloatArray) -> FloatArray:
    """Logits (rows,) of `values` (rows, columns)."""
    model = network(public, hidden)
    with torch.no_grad():
        outputs = functional_call(model, _named(model, weights), (torch.from_numpy(inputs(public, values)),))
    return np.asarray(outputs[:, 0].numpy())


def gradient_sum(
    public: PublicTable,
    hidden: int,
    weights: FloatArray,
    values: FloatArray,
    labels: NDArray[np.int64],
    clip: float,
) -> IntArray:
    """Sum (parameters,) over records of their clipped integer gradients; zeros if no record was drawn."""
    if not len(labels):
        return np.zeros(parameter_count(public, hidden), dtype=np.int64)
    model, count = network(public, hidden), len(labels)
    # Parameters once for each record: the gradient of the sum by a record's own is that record's. `torch.func.grad`
    # gives the same, and loads torch's compiler for it, which takes two seconds.
    each = {name: part.expand(count, *part.shape).requires_grad_() for name, part in _named(model, weights).items()}
    x, y = torch.from_numpy(inputs(public, values)), torch.from_numpy(labels.astype(np.float64))

    def logit(parameters: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = functional_call(model, parameters, (row[None, :],))
        return outputs[0, 0]

    alone: Callable[..., torch.Tensor] = vmap(logit)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(alone(each, x), y, reduction="sum")
    gradients = torch.autograd.grad(loss, list(each.values()))
    vectors = torch.cat([gradient.reshape(count, -1) for gradient in gradients], dim=1).numpy()
    return np.asarray(clipped(vectors, clip).sum(axis=0), dtype=np.int64)
