"""The bank that fits: coefficients of a joint model go up at one bank, and are told to banks alone.

Who knows the coefficients of a grid company's columns, and the gradients that led to them, reads labels off them as
soon as it knows these columns (`privacy.attacks.label_inference`): that is the grid company, and the operator with it.
Banks know whose labels are whose already, and no column of a grid company. So the lead, the bank that fits most
customers, takes the steps. The operator opens a gradient of banks' columns; that of grid companies' columns it passes
on behind a mask that the lead drew (`hide`), and points travel sealed.

Guarantee: an operator, a grid company, or both together learn nothing of the coefficients of grid companies' columns
and nothing of their gradients. The lead learns these, sums over all customers; of another bank or a grid company alone
it learns no sum that the operator would not have opened, but where there is one other.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.ramps import FloatArray
from federated.privacy.vertical.ring import GRADIENT_BITS, Ring, Tape, floating
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.protected.evidence import Block, Effort, Fit, fit
from federated.protocols.protected.solver import Asking
from federated.protocols.protected.state import FIT, Talk


class Lead:
    """The handler of one node; only the lead's is asked."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.forget()

    def forget(self) -> None:
        """Begin no fit that was begun."""
        self._fit: Asking[Fit] | None = None
        self._mask: Ring = np.zeros(0, dtype=np.uint64)

    def hide(self, gradient: Ring, ours: int) -> Ring:
        """The own part of a gradient, of which all but the first `ours` numbers are of grid companies' columns: these
        behind a mask drawn anew, which is taken off their sum."""
        if self._talk.name != self._talk.state.lead:
            return gradient
        self._mask = Tape(secrets.token_bytes(32)).draw(len(gradient) - ours)
        return np.concatenate([gradient[:ours], gradient[ours:] + self._mask])

    def step(self, content: Content) -> Content:
        """Begin a fit, or go on with one by the gradient at its last point; then the next point, sealed for each other
        bank, or what it came to. Raises `TrainingFailed` at a node that is not the lead, and where it diverges."""
        state = self._talk.state
        state.require_enough()
        if self._talk.name != state.lead:
            raise TrainingFailed(f"{self._talk.name} does not fit in this run")
        try:
            if "start" in content.arrays:
                self._fit = self._begun(content)
                point = next(self._fit)
            elif self._fit is None:
                raise TrainingFailed(f"{self._talk.name}: no fit was begun")
            else:
                point = self._fit.send(self.read(content))
        except StopIteration as end:
            found: Fit = end.value
            self._fit = None
            told = self._told(found.point)
            return Content({**told.arrays, "beta": state.beta}, {"at_rest": True, "ridge": found.ridge})
        return self._told(point)

    def _begun(self, content: Content) -> Asking[Fit]:
        """From `start` (first columns of banks), and where grid companies' coefficients were left."""
        state, rate = self._talk.state, self._talk.state.rate
        start = content.floats("start")
        rows = np.concatenate([state.rows(peer, FIT) for peer in sorted(state.marks)])
        own = state.columns[rows, : len(start)]
        # The own customers' columns stand for those of all banks: steps need no more than a metric that is near.
        metric = np.asarray(own.T @ own, dtype=np.float64) * (rate * (1.0 - rate) * state.fitted / len(own))
        ours = Block(content.floats("relative/bank"), metric, content.floats("spectrum/bank"))
        theirs = Block.of(content.floats("relative/grid"), rate * (1.0 - rate) * content.floats("gram/grid"))
        self._ours = len(start)
        if len(state.weights) != len(theirs.relative):
            state.weights = np.zeros(len(theirs.relative))
        effort = Effort(content.number("tolerance"), *(content.integer(of) for of in ("most", "ridges", "left")))
        return fit([ours, theirs], np.concatenate([start, state.weights]), content.number("ridge"), effort)

    def read(self, content: Content) -> FloatArray:
        """Both sides' gradients in a row, from those of banks' columns and those of the others behind the own mask."""
        hidden = np.asarray(content.array("gradient/grid"), dtype=np.uint64)
        if hidden.shape != self._mask.shape:
            raise TrainingFailed(f"{self._talk.name}: a gradient of {hidden.size} numbers came for {self._mask.size}")
        return np.concatenate([content.floats("gradient/bank"), floating(hidden - self._mask, GRADIENT_BITS)])

    def _told(self, point: FloatArray) -> Content:
        state, out = self._talk.state, dict[str, Any]()
        state.beta, state.weights = point[: self._ours], point[self._ours :]
        for bank in sorted(state.parties.ours - {self._talk.name}):
            out[f"point/{bank}"] = self._talk.sealed(bank, state.beta, state.weights)
        arrays: Arrays = out
        return Content(arrays, {"at_rest": False})
