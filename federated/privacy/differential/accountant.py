"""From releases to (ε, δ): Rényi differential privacy at integer orders, composed by `dp-accounting`.

A release adds discrete Gaussian noise of `multiplier` times the farthest that one record can move the integer vector,
`steps` times over; with `sampling` < 1 each record takes part in a step with that probability, by itself and unseen.

Why continuous accounting holds for integers: for a shift μ of whole units, E_Q[(P/Q)^k] of the discrete Gaussian is
exp(k(k−1)‖μ‖²/2σ²)·Σ exp(−‖x−kμ‖²/2σ²) / Σ exp(−‖x‖²/2σ²), and the sums are equal, kμ being a lattice point. So at
integer orders all moments are those of the Gaussian, and with them the Poisson-sampled moments, which are binomial sums
of these (Mironov, Talwar, Zhang 2019, section 3.3; x → μ − x is the symmetry that their theorem 5 asks for). That
a sum of several draws is not quite one draw is `slack`, which is added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import dp_accounting
from dp_accounting import rdp

from federated.errors import PrivacyPlanRefused

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 384, 512, 1024)


@dataclass(frozen=True, slots=True)
class Release:
    """What leaves a bank in one stage of a run: `steps` noisy sums. `slack`: a step's max divergence (see `noise`)."""

    multiplier: float
    sampling: float = 1.0
    steps: int = 1
    slack: float = 0.0

    def __post_init__(self) -> None:
        fits = self.multiplier > 0 and 0 < self.sampling <= 1 and self.steps >= 1 and self.slack >= 0
        if not fits or not all(map(math.isfinite, (self.multiplier, self.sampling, self.slack))):
            raise PrivacyPlanRefused(f"a release that no account can be given of: {self}")

    def weighted(self, own: float, largest: float) -> Release:
        """The release as it concerns a bank of weight `own`, where noise was measured for the `largest` weight."""
        if not 0 < own <= largest:
            raise PrivacyPlanRefused(f"a weight of {own} is not between 0 and the largest, {largest}")
        return replace(self, multiplier=self.multiplier * (largest / own))

    def event(self) -> dp_accounting.DpEvent:
        """The release as `dp-accounting` knows it."""
        one: dp_accounting.DpEvent = dp_accounting.GaussianDpEvent(self.multiplier)
        if self.sampling < 1:
            one = dp_accounting.PoissonSampledDpEvent(self.sampling, one)
        return dp_accounting.SelfComposedDpEvent(one, self.steps)


def epsilon_of(releases: Iterable[Release], delta: float) -> float:
    """ε at `delta` of everything in `releases`, adding or removing one record; 0 for no release at all.

    If every law is within max divergence η of the one accounted for, (ε, δ·e^−η) becomes (ε + 2η, δ).
    """
    if not 0 < delta < 1:
        raise PrivacyPlanRefused(f"δ is a probability below 1, not {delta}")
    return _epsilon_of(tuple(releases), delta)


@lru_cache(maxsize=4_096)
def _epsilon_of(listed: tuple[Release, ...], delta: float) -> float:
    # Operator and banks ask the same of every plan, and a search for a multiplier asks it of the same plans again.
    if not listed:
        return 0.0
    accountant = rdp.RdpAccountant(orders=ORDERS)
    for release in listed:
        accountant.compose(release.event())
    slack = sum(r.slack * r.steps for r in listed)
    return float(accountant.get_epsilon(delta * math.exp(-slack))) + 2.0 * slack


def multiplier_for(epsilon: float, delta: float) -> float:
    """The noise multiplier with which a single release costs `epsilon` at `delta`, or a trifle less.

    Split over stages with shares that add up to 1, multiplier/√share each, Gaussians compose to the same cost.
    """
    # A run that is split into stages costs the same but for the last digits, and must not exceed by those.
    epsilon *= 1.0 - 1e-9
    low, high = 1e-2, 1.0
    while epsilon_of([Release(high)], delta) > epsilon:
        low, high = high, 2.0 * high
        if high > 1e6:
            raise PrivacyPlanRefused(f"no noise gives ε = {epsilon} at δ = {delta}")
    for _ in range(50):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if epsilon_of([Release(middle)], delta) <= epsilon else (middle, high)
    return high


def steps_multiplier(
    epsilon: float, delta: float, sampling: float, steps: int, before: Sequence[Release] = ()
) -> float:
    """The multiplier with which `steps` sampled sums, after `before`, cost `epsilon` at `delta` altogether."""
    low, high = 0.1, 1e5
    for _ in range(24):
        middle = math.sqrt(low * high)
        cost = epsilon_of([*before, Release(middle, sampling, steps)], delta)
        low, high = (low, middle) if cost <= epsilon else (middle, high)
    return high


def as_numbers(release: Release) -> dict[str, float | int]:
    """A release for a ledger or a message."""
    return {
        "multiplier": release.multiplier,
        "sampling": release.sampling,
        "steps": release.steps,
        "slack": release.slack,
    }


def from_numbers(raw: Mapping[str, float | int]) -> Release:
    """The release behind `as_numbers`. Raises `PrivacyPlanRefused`."""
    try:
        return Release(float(raw["multiplier"]), float(raw["sampling"]), int(raw["steps"]), float(raw["slack"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PrivacyPlanRefused(f"a release cannot be read: {error}") from error
