"""The bank that fits: coefficients of a joint model go up at one bank, and are told to banks alone.

Who knows the coefficients of a grid company's columns, and the gradients that led to them, reads labels off them as
soon as it knows these columns (`privacy.attacks.label_inference`): that is the grid company, and the operator with it.
Banks know whose labels are whose already, and no column of a grid company. So the lead, the bank that fits most
customers, takes the steps. Gradients the operator passes on behind a mask that the lead drew (`hide`), and points
travel sealed. Nor does it open gradients of banks' columns: a grid company with other code that adds 2^(9·j) to the
residual of customer j shifts them by rows of banks' columns, of seven customers a gradient, and with these columns
known the gradient itself tells labels.

Guarantee: an operator, a grid company, or both together learn nothing of the coefficients of grid companies' columns
but how many gradients they took, and nothing of gradients but what coefficients of banks' columns say, told once a run.
The lead learns gradients, sums over all customers: of another bank or a grid company alone only where there is one
other. Not covered are an operator and a grid company that both have other code: banks' coefficients at rest, which the
operator is told, depend on residuals that a grid company may shift, and on priors that the operator names within
bounds (ADR 0030, "What it does not cover").
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.binning import IntArray
from federated.models.encoding.interactions import prior
from federated.models.encoding.principal import LEAST_VARIANCE
from federated.models.encoding.ramps import FloatArray
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.gradients import most_gradients
from federated.privacy.vertical.ring import GRADIENT_BITS, Ring, Tape, floating
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.protected.dealing import ROLES
from federated.protocols.protected.evidence import Block, Effort, Fit, fit
from federated.protocols.protected.interacting import FACTORS, gathered, truncated
from federated.protocols.protected.solver import Asking
from federated.protocols.protected.state import Talk

# Parts of a side's columns, at the most, each with a ridge of its own: of many, a prior could pick out one.
PARTS = 2
# How loose a fit, and of how few ridges, an operator may ask for; and how tight a part's widest prior, which of
# principal components is that of a direction in which customers differ most (0.004 to 0.01 on six public sets).
LOOSEST, FEWEST_RIDGES, TIGHTEST = 0.01, 3, 10.0
# The ridge that a fit begins with, at the most.
TIGHTEST_START = 200.0


class Lead:
    """The handler of one node; only the lead's is asked."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.forget()

    def forget(self) -> None:
        """Begin no fit that was begun."""
        self._fit: Asking[Fit] | None = None
        self._mask: Ring | None = None
        self.ridges: tuple[float, ...] = ()

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
                point = self._fit.send(self.read(content, self._ours + len(state.weights) + state.appended))
        except TrainingFailed:
            self._fit = None
            raise
        except StopIteration as end:
            found: Fit = end.value
            self._fit, self.ridges = None, found.ridges
            told = self._told(self._of_few_factors(found.point))
            return Content({**told.arrays, "beta": state.beta}, {"at_rest": True})
        return self._told(point)

    def _begun(self, content: Content) -> Asking[Fit]:
        """From `start` (coefficients of banks' columns), and 0 of grid companies'; a ridge for each part of a side.

        Principal components all have one variance: no operator chooses what of their coefficients a step shows.
        """
        state = self._talk.state
        state.tell_once("steps of a fit")
        start, ridges = content.floats("start"), content.floats("ridges")
        relative = {of: content.floats(f"relative/{of}") for of in ROLES}
        parts = {of: content.floats(f"parts/{of}").astype(np.int64) for of in ROLES}
        held = self._sound(start, relative, parts)
        if ridges.shape != (len(held),):
            raise TrainingFailed(f"{self._talk.name}: {ridges.size} ridges came for {len(held)} parts of columns")
        if state.multiplied is not None:
            ours, theirs = state.multiplied
            held.append(prior(relative["bank"][1 : 1 + ours], relative["grid"][:theirs]))
            ridges = np.append(ridges, ridges.max())
        blocks = [Block.of(each, state.fitted, state.rate) for each in held]
        self._ours, state.weights = len(start), np.zeros(len(relative["grid"]) + state.appended)
        effort = self._effort(content)
        curve = Curve.around(state.rate)
        first = np.minimum(ridges, TIGHTEST_START).tolist()
        return fit(blocks, np.concatenate([start, state.weights]), first, effort, curve)

    def _effort(self, content: Content) -> Effort:
        """What the operator says, but a fit goes on until it rests, at ridges that labels choose: broken off early,
        its coefficients are a gradient over a ridge that the operator chose. Raises `TrainingFailed`."""
        tolerance, most = content.number("tolerance"), content.integer("most")
        if not tolerance > 0.0 or most <= 0:
            raise TrainingFailed(f"{self._talk.name}: no fit comes to rest within {tolerance:g} by {most} gradients")
        ridges, left = max(content.integer("ridges"), FEWEST_RIDGES), most_gradients(self._talk.state.fitted) - 1
        return Effort(min(tolerance, LOOSEST), most, ridges, left)

    def _sound(
        self, start: FloatArray, relative: dict[str, FloatArray], parts: dict[str, IntArray]
    ) -> list[FloatArray]:
        """Priors by part, banks' first. Raises `TrainingFailed` for a beginning that does not fit columns.

        A prior of principal components becomes no wider from one to the next of its part; of banks' columns the first
        is a constant.
        """
        state, held = self._talk.state, list[FloatArray]()
        others = max((side.others for side in state.sides.values()), default=0) - state.appended
        sound = start.shape == relative["bank"].shape and relative["bank"][:1].tolist() == [0.0]
        for of, width in (("bank", state.columns.shape[1]), ("grid", others)):
            sound = sound and relative[of].shape == (width,) and parts[of].ndim == 1 and parts[of].size <= PARTS
            sound = sound and bool(np.all(parts[of] > 0)) and int(parts[of].sum()) == width > 0
            if sound:
                held += np.split(relative[of], np.cumsum(parts[of])[:-1])
        free = [each[1:] if number == 0 else each for number, each in enumerate(held)]
        if not sound or not all(map(_of_components, free)):
            raise TrainingFailed(f"{self._talk.name}: a fit that begins so is none of these columns")
        return held

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
        state = self._talk.state
        return floating(gathered(hidden - mask, self._ours, state.appended), GRADIENT_BITS)

    def _of_few_factors(self, point: FloatArray) -> FloatArray:
        """A point at which coefficients of products have few factors, the nearest."""
        state = self._talk.state
        if state.multiplied is None:
            return point
        rest, products = np.split(point, [len(point) - state.appended])
        return np.concatenate([rest, truncated(products, state.multiplied, FACTORS)])

    def _told(self, point: FloatArray) -> Content:
        state, out = self._talk.state, dict[str, Any]()
        state.beta, state.weights = point[: self._ours], point[self._ours :]
        for bank in sorted(state.parties.ours - {self._talk.name}):
            out[f"point/{bank}"] = self._talk.sealed(bank, state.beta, state.weights)
        arrays: Arrays = out
        return Content(arrays, {"at_rest": False})


def _of_components(relative: FloatArray) -> bool:
    """Whether a part's priors may be those of principal components: tighter from one to the next, and bounded."""
    ordered = bool(np.all(relative > 0.0) and np.all(np.diff(relative) >= 0.0))
    # Components of less than a share `LEAST_VARIANCE` of the first one's variance are not kept.
    return ordered and bool(
        np.all(relative[:1] <= TIGHTEST) and np.all(relative * LEAST_VARIANCE <= 1.01 * relative[:1])
    )
