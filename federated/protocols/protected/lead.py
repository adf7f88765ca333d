"""The bank that fits: coefficients of a joint model go up at one bank, and are told to banks alone.

Who knows the coefficients of a grid company's columns, and the gradients that led to them, reads labels off them as
soon as it knows these columns (`privacy.attacks.label_inference`): that is the grid company, and the operator with it.
Banks know whose labels are whose already, and no column of a grid company. So the lead, the bank that fits most
customers, takes the steps. Gradients the operator passes on behind a mask that the lead drew (`hide`), and points
travel sealed. Nor does it open gradients of banks' columns: a grid company with other code that adds 2^(9·j) to the
residual of customer j shifts them by rows of banks' columns, of seven customers a gradient, and with these columns
known the gradient itself tells labels.

Guarantee: an operator, a grid company, or both together learn nothing of the coefficients of grid companies' columns
but which of a hundred ridges they lead to, and nothing of gradients but what coefficients of banks' columns and chosen
trees say, each told once a fit. The lead learns gradients, sums over all customers: of another bank or a grid company
alone only where there is one other.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.principal import FARTHEST
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves, best_trees
from federated.privacy.vertical.ring import GRADIENT_BITS, Ring, Tape, floating
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.protected.evidence import Block, Effort, Fit, fit, rounded
from federated.protocols.protected.solver import Asking
from federated.protocols.protected.state import FIT, Talk

# Fits of a run: before banks' trees are chosen, and after.
FITS = 2


class Lead:
    """The handler of one node; only the lead's is asked."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.forget()

    def forget(self) -> None:
        """Begin no fit that was begun."""
        self._fit: Asking[Fit] | None = None
        self._mask: Ring | None = None

    def hide(self, gradient: Ring) -> Ring:
        """The own part of a gradient, at the lead behind a mask drawn anew, which it takes off the sum of all."""
        if self._talk.name != self._talk.state.lead:
            return gradient
        self._mask = Tape(secrets.token_bytes(32)).draw(len(gradient))
        return gradient + self._mask

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
                point = self._fit.send(self.read(content, self._ours + len(state.weights)))
        except TrainingFailed:
            self._fit = None
            raise
        except StopIteration as end:
            found: Fit = end.value
            self._fit = None
            told = self._told(found.point)
            return Content({**told.arrays, "beta": state.beta}, {"at_rest": True, "ridge": found.ridge})
        return self._told(point)

    def _begun(self, content: Content) -> Asking[Fit]:
        """From `start` (first columns of banks), and where grid companies' coefficients were left."""
        state, rate = self._talk.state, self._talk.state.rate
        state.answer_again("fit", FITS)
        start, relative, own_relative, spectrum = (
            content.floats(name) for name in ("start", "relative/grid", "relative/bank", "spectrum/bank")
        )
        self._require_sound(start, relative, own_relative, spectrum)
        ours = Block(own_relative, self._metric(len(start)), spectrum)
        # Principal components, all of one variance: no operator chooses what of their coefficients a step shows.
        spread = rate * (1.0 - rate) * state.fitted / FARTHEST**2
        theirs = Block.of(relative, spread * np.eye(len(relative)))
        self._ours = len(start)
        if len(state.weights) != len(theirs.relative):
            state.weights = np.zeros(len(theirs.relative))
        effort = Effort(content.number("tolerance"), *(content.integer(of) for of in ("most", "ridges", "left")))
        return fit([ours, theirs], np.concatenate([start, state.weights]), rounded(content.number("ridge")), effort)

    def _require_sound(self, start: FloatArray, theirs: FloatArray, ours: FloatArray, spectrum: FloatArray) -> None:
        """Raise `TrainingFailed` for a beginning that does not fit columns. A prior of principal components becomes no
        wider from one to the next."""
        state = self._talk.state
        width = max((side.others for side in state.sides.values()), default=0)
        shapes = start.ndim == 1 and 0 < len(start) <= state.columns.shape[1] and ours.shape == start.shape
        ordered = theirs.shape == (width,) and width and theirs[0] > 0 and bool(np.all(np.diff(theirs) >= 0))
        if not (shapes and ordered and np.all(ours >= 0) and spectrum.ndim == 1 and np.all(spectrum >= 0)):
            raise TrainingFailed(f"{self._talk.name}: a fit that begins so is none of these columns")

    def read(self, content: Content, width: int) -> FloatArray:
        """Both sides' gradients in a row, `width` numbers, from those behind the own mask.

        One answer for a gradient that this node took part in: what is made up shows by how the fit goes on.
        """
        mask, self._mask = self._mask, None
        if mask is None:
            raise TrainingFailed(f"{self._talk.name}: no gradient was computed at this point")
        hidden = np.asarray(content.array("gradient"), dtype=np.uint64)
        if hidden.shape != mask.shape or len(hidden) != width:
            raise TrainingFailed(f"{self._talk.name}: a gradient of {hidden.size} numbers came for {width}")
        return floating(hidden - mask, GRADIENT_BITS)

    def choose(self, content: Content) -> Content:
        """Of candidates, the trees of banks' columns that lower the loss most, where the fit came to rest: once a run.

        `ridge` is that of ramps, `leaf_ridge` that of leaves for this choice.
        """
        state = self._talk.state
        state.require_enough()
        if self._talk.name != state.lead or not isinstance(state.basis, RandomLeaves):
            raise TrainingFailed(f"{self._talk.name} chooses no trees in this run")
        state.tell_once("chosen trees")
        basis, beta = state.basis, state.beta
        gradient = self.read(content, basis.width + len(state.weights))[: basis.width]
        ridges = content.number("ridge"), content.number("leaf_ridge")
        if not all(0.0 < ridge < np.inf for ridge in ridges) or not content.integer("most") > 0:
            raise TrainingFailed(f"{self._talk.name}: no trees are chosen by ridges of {ridges}")
        penalty = basis.penalty(*ridges)
        padded = np.concatenate([beta, np.zeros(basis.width - len(beta))])
        curvature = self._metric(basis.width) + np.diag(penalty)
        chosen = best_trees(basis, curvature, gradient - penalty * padded, content.integer("most"))
        return Content({"trees": np.array(chosen, dtype=np.int64)})

    def _metric(self, width: int) -> FloatArray:
        """Curvature of banks' first columns if all customers were as the own ones: steps, and a choice of trees, need
        no more than what is near."""
        state, rate = self._talk.state, self._talk.state.rate
        rows = np.concatenate([state.rows(peer, FIT) for peer in sorted(state.marks)])
        own = state.columns[rows, :width]
        return np.asarray(own.T @ own, dtype=np.float64) * (rate * (1.0 - rate) * state.fitted / len(own))

    def _told(self, point: FloatArray) -> Content:
        state, out = self._talk.state, dict[str, Any]()
        state.beta, state.weights = point[: self._ours], point[self._ours :]
        for bank in sorted(state.parties.ours - {self._talk.name}):
            out[f"point/{bank}"] = self._talk.sealed(bank, state.beta, state.weights)
        arrays: Arrays = out
        return Content(arrays, {"at_rest": False})
