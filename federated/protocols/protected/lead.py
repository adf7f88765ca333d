"""The bank that fits: coefficients of a model go up at one bank, and are told to banks alone.

Who knows the coefficients of a grid company's columns, and the gradients that led to them, reads labels off them as
soon as it knows these columns (`privacy.attacks.label_inference`): that is the grid company, and the operator with it.
Who chooses where banks take gradients of their own columns reads whole rows of these: at coefficients of millions a
residual is a threshold. Banks know whose labels are whose already, and no column of a grid company. So the lead, the
bank that fits most customers, takes all steps of a run: first those of banks' columns, which banks fit alone, then
those of all, from where these came to rest. Gradients the operator passes on behind a mask that the lead drew (`hide`),
and points travel sealed; other banks take one gradient at each, and none anywhere else. Nor does the operator open what
a grid company with other code shifts by 2^(9·j) in the residual of customer j, which are rows of banks' columns, of
seven customers a gradient.

Guarantee: an operator, a grid company, or both together learn nothing of coefficients but how many gradients they took,
and nothing of any gradient: where a fit rests banks alone are told, and what they keep of it is committed to
(`models.served.kept`, `privacy.vertical.hidden_weights`). The operator chooses neither a coefficient nor a prior: those
follow from directions, as nodes compute them, and from labels. The lead learns gradients, sums over all customers: of
another bank or a grid company alone only where there is one other. An operator that adds numbers to a gradient that it
passes on shifts where the fit ends, and reads it no better. Not covered: what calibration and counts of scores say,
which the operator is told in blocks (`privacy.vertical.suppression`), and a bank that hands on what it knows.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.interactions import prior
from federated.models.encoding.ramps import FloatArray
from federated.privacy.secure_aggregation.ring import BITS
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.gradients import most_gradients
from federated.privacy.vertical.ring import GRADIENT_BITS, RESIDUAL_BITS, Ring, Tape, floating
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.protected.evidence import Block, Effort, Fit, fit
from federated.protocols.protected.interacting import FACTORS, gathered, truncated
from federated.protocols.protected.solver import Asking
from federated.protocols.protected.state import ALONE, AT_REST, TOGETHER, Prior, Talk

# How loose a fit, and of how few ridges, an operator may ask for.
LOOSEST, FEWEST_RIDGES = 0.01, 3
# The ridge that a fit begins with, at the most.
TIGHTEST_START = 200.0
# How many gradients of banks' columns alone a run takes at the most: honest ones on six public sets take 8 to 30.
MOST_ALONE = 100
# How many times what customers' residuals can add up to a gradient may be: what is passed on is no sum beyond it.
FARTHEST_SUM = 2.0


class Lead:
    """The handler of one node; only the lead's is asked."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.forget()

    def forget(self) -> None:
        """Begin no fit that was begun."""
        self._fit: Asking[Fit] | None = None
        self._mask: Ring | None = None
        self._blocks: list[Block] = []
        self._stage = ALONE
        self.ridges: tuple[float, ...] = ()

    def hide(self, gradient: Ring) -> Ring:
        """The own part of a gradient, at the lead behind a mask drawn anew, which it takes off the sum of all."""
        if self._talk.name != self._talk.state.lead:
            return gradient
        self._mask = Tape(secrets.token_bytes(32)).draw(len(gradient))
        return gradient + self._mask

    def step(self, content: Content) -> Content:
        """Begin a run's fit, or go on with it by the gradient at its last point; then the next point, sealed for each
        other bank, or what it came to. Raises `TrainingFailed` at a node that is not the lead, and where it diverges.
        """
        state = self._talk.state
        state.require_enough()
        if self._talk.name != state.lead:
            raise TrainingFailed(f"{self._talk.name} does not fit in this run")
        try:
            if "gradient" not in content.arrays:
                self._fit = self._begun(content)
                point = next(self._fit)
            elif self._fit is None:
                raise TrainingFailed(f"{self._talk.name}: no fit was begun")
            else:
                point = self._fit.send(self.read(content, len(state.beta) + len(state.weights)))
        except TrainingFailed:
            self._fit = None
            raise
        except StopIteration as end:
            return self._rested(end.value)
        return self._told(point, self._stage)

    def _begun(self, content: Content) -> Asking[Fit]:
        """The steps of the whole run, once: no operator has banks fit alone twice, or leaves it out. Of what it says,
        the ridge that all parts begin with is bounded, and how much effort a fit takes."""
        state = self._talk.state
        if not state.approved or state.prior is None:
            raise TrainingFailed(f"{self._talk.name}: no fit is begun of columns that banks did not approve")
        state.tell_once("steps of a fit")
        effort, ridge = self._effort(content), content.number("ridge")
        return self._steps(state.prior, state.others_prior, effort, min(ridge, TIGHTEST_START))

    def _steps(self, ours: Prior, theirs: Prior | None, effort: Effort, ridge: float) -> Asking[Fit]:
        """Banks' columns by gradients of banks alone, from the overall rate; then, where grid companies take part, all,
        from where these came to rest and with the ridges that they came to.

        From 0 the first gradient of grid companies' columns would say what these say alone, of everybody.
        """
        state = self._talk.state
        self._stage, self._blocks = ALONE, self._of(ours)
        curve, start = Curve.around(state.rate), np.zeros(len(ours.relative))
        start[0] = curve.centre
        found = yield from fit(self._blocks, start, [ridge] * len(self._blocks), effort, curve)
        if theirs is None:
            return found
        others, ridges = self._of(theirs), [*found.ridges, *[ridge] * len(theirs.parts)]
        if state.multiplied is not None:
            k, n = state.multiplied
            others.append(Block.of(prior(ours.relative[1 : 1 + k], theirs.relative[:n]), state.fitted, state.rate))
            ridges.append(max(ridges))
        self._stage, self._blocks = TOGETHER, [*self._blocks, *others]
        start = np.concatenate([found.point, np.zeros(len(theirs.relative) + state.appended)])
        left = most_gradients(state.fitted) - 1
        return (yield from fit(self._blocks, start, ridges, replace(effort, left=left), curve))

    def _of(self, prior: Prior) -> list[Block]:
        """Parts of a side's columns. Principal components all have one variance."""
        return [Block.of(each, self._talk.state.fitted, self._talk.state.rate) for each in prior.by_part]

    def _effort(self, content: Content) -> Effort:
        """What the operator says, but a fit goes on until it rests, at ridges that labels choose: broken off early,
        its coefficients are a gradient over a ridge that the operator chose. Raises `TrainingFailed`."""
        tolerance, most = content.number("tolerance"), content.integer("most")
        if not tolerance > 0.0 or most <= 0:
            raise TrainingFailed(f"{self._talk.name}: no fit comes to rest within {tolerance:g} by {most} gradients")
        return Effort(min(tolerance, LOOSEST), most, max(content.integer("ridges"), FEWEST_RIDGES), MOST_ALONE - 1)

    def read(self, content: Content, width: int) -> FloatArray:
        """A gradient, `width` numbers, from that behind the own mask. Of products it comes in one part: that of either
        side is own shares times residuals, which is no sum of columns over customers.

        One answer for a gradient that this node took part in, and only what customers can add up to: numbers that are
        made up come out uniform.
        """
        mask, self._mask = self._mask, None
        if mask is None:
            raise TrainingFailed(f"{self._talk.name}: no gradient was computed at this point")
        alone, state = self._stage == ALONE, self._talk.state
        if not alone:
            mask = gathered(mask, len(state.beta), state.appended)
        hidden = content.array("gradient")
        if hidden.shape != mask.shape or len(hidden) != width or hidden.dtype != np.uint64:
            raise TrainingFailed(f"{self._talk.name}: a gradient of {hidden.size} numbers came for {width}")
        found = floating(hidden.astype(np.uint64) - mask, BITS if alone else GRADIENT_BITS)
        # Of columns of too few customers banks add nothing: on shares what is left there is uniform.
        found[state.left_out[: len(found)]] = 0.0
        residual = 1.0 if alone else Curve.around(state.rate).largest_residual / 2.0**RESIDUAL_BITS
        if not np.all(np.abs(found) <= FARTHEST_SUM * residual * state.fitted):
            raise TrainingFailed(f"{self._talk.name}: a gradient came that no customers add up to")
        return found

    def _of_few_factors(self, weights: FloatArray) -> FloatArray:
        """Coefficients of grid companies' columns and of products, of which these have few factors, the nearest."""
        state = self._talk.state
        if state.multiplied is None:
            return weights
        rest, products = np.split(weights, [len(weights) - state.appended])
        return np.concatenate([rest, truncated(products, state.multiplied, FACTORS)])

    def _told(self, point: FloatArray, stage: int) -> Content:
        """A point, for every other bank: what it is for, coefficients of banks' columns, then of grid companies'."""
        state, out = self._talk.state, Arrays()
        assert state.prior is not None
        ours = len(state.prior.relative)
        state.go(stage, point[:ours], point[ours:])
        for bank in sorted(state.parties.ours - {self._talk.name}):
            out[f"point/{bank}"] = self._talk.sealed(bank, np.array([float(stage)]), point)
        return Content(out, {"at_rest": stage == AT_REST, "together": stage == TOGETHER})

    def _rested(self, found: Fit) -> Content:
        """Where the fit came to rest, which banks alone are told."""
        state = self._talk.state
        self._fit, self.ridges = None, found.ridges
        assert state.prior is not None
        ours, weights = np.split(found.point, [len(state.prior.relative)])
        return self._told(np.concatenate([ours, self._of_few_factors(weights)]), AT_REST)
