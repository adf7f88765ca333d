"""Ascent on a concave function of which only gradients are known, by steps that cannot make it worse.

L-BFGS (Nocedal, Wright, Numerical Optimization, 2006, algorithm 7.4) around a fixed metric. Values of the function are
never asked for: a line search by slopes alone does with concave functions. Where f is concave, f(x + d) − f(x) is at
least the slope along d at x + d, so a step at whose end the slope is not negative has raised f.

Who ascends does not compute gradients: it yields points and is sent the gradient at each, by `answered` in one place,
or by messages between several.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.ramps import FloatArray

REMEMBERED, SHORTENED, SHORT = 10, 20, 0.95

T = TypeVar("T")
# Points (width,) out, the gradients (width,) of f without its penalty in.
Asking = Generator[FloatArray, FloatArray, T]


@dataclass(frozen=True, slots=True)
class Metric:
    """A concave f has the gradient that is told less `penalty` · x, and bends about as `curvature` says; both (width,).
    Steps are taken in the metric of their sum."""

    penalty: FloatArray
    curvature: FloatArray

    def solved(self, vector: FloatArray) -> FloatArray:
        """The metric's inverse times `vector`."""
        return np.asarray(vector / (self.curvature + self.penalty))


@dataclass(frozen=True, slots=True)
class Ascent:
    """Where an ascent came to, `gradient` (unpenalised) there, what a further step may add to f at most by the metric
    (`left`, in f's unit), how many gradients it took, and whether `left` is within the tolerance."""

    point: FloatArray
    gradient: FloatArray
    left: float
    evaluations: int
    converged: bool


def answered(asking: Asking[T], gradient: Callable[[FloatArray], FloatArray]) -> T:
    """What `asking` comes to where gradients are computed on the spot."""
    try:
        point = next(asking)
        while True:
            point = asking.send(gradient(point))
    except StopIteration as end:
        found: T = end.value
        return found


def ascend(
    metric: Metric,
    start: FloatArray,
    *,
    tolerance: float,
    most: int,
    gradient: FloatArray | None = None,
    watch: Callable[[int, float], None] = lambda *_: None,
) -> Asking[Ascent]:
    """Go up from `start` until a step would add less than `tolerance`, by about `most` gradients at the most.

    A step is taken if the slope at its end is not negative, so that f has risen; else it is shortened. `gradient` is
    that at `start`, if it is known. Where gradients are rounded, an ascent ends when roundings hide the way up. Raises
    `TrainingFailed` for a gradient that is not finite.
    """
    point, raw, spent = start, gradient, 0
    if raw is None:
        raw, spent = _checked((yield start)), 1
    slope = raw - metric.penalty * point
    left = _left(metric, slope)
    pairs: list[tuple[FloatArray, FloatArray]] = []
    while left > tolerance and spent < most:
        direction = _direction(metric, slope, pairs)
        along, length = float(slope @ direction), 1.0
        for attempt in range(SHORTENED):
            there = point + length * direction
            found = _checked((yield there))
            spent += 1
            after = found - metric.penalty * there
            end = float(after @ direction)
            if end >= 0.0:
                break
            # Just short of where a parabola with these two slopes is level; if f is none, at the most half as far.
            length *= min(SHORT * along / (along - end), 0.5 if attempt else 1.0)
        else:
            break
        if (moved := there - point) @ (bent := slope - after) > 0.0:
            pairs = [*pairs, (moved, bent)][-REMEMBERED:]
        point, raw, slope, left = there, found, after, _left(metric, after)
        watch(spent, left)
    return Ascent(point, raw, left, spent, left <= tolerance)


def _direction(metric: Metric, slope: FloatArray, pairs: Sequence[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """The two-loop recursion."""
    out, weights = slope.copy(), []
    for moved, bent in reversed(pairs):
        weights.append(float(moved @ out) / float(moved @ bent))
        out -= weights[-1] * bent
    out = metric.solved(out)
    for (moved, bent), weight in zip(pairs, reversed(weights), strict=True):
        out += moved * (weight - float(bent @ out) / float(moved @ bent))
    return out


def _left(metric: Metric, slope: FloatArray) -> float:
    return 0.5 * float(slope @ metric.solved(slope))


def _checked(gradient: FloatArray) -> FloatArray:
    if not np.isfinite(gradient).all():
        raise TrainingFailed("a gradient is not finite")
    return gradient
