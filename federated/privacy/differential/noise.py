"""Discrete Gaussian noise, drawn exactly over the integers, and how close a sum of several draws is to one of them.

Source: Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy" (NeurIPS 2020); sums: Kairouz, Liu
and Steinke, "The distributed discrete Gaussian mechanism" (ICML 2021).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from federated.errors import PrivacyPlanRefused

IntArray = NDArray[np.int64]
# Below this scale in units the sum of draws is no longer a discrete Gaussian to within 1e-60.
LEAST_SCALE = 4.0


class NoiseSource(Protocol):
    """Where noise comes from."""

    def integers(self, scale: float, length: int) -> IntArray:
        """`length` independent integers with P(x) ∝ exp(−x² / (2·scale²))."""
        ...


class DiscreteGaussian:
    """OpenDP's exact sampler on the operating system's randomness. It takes no seed: a seed would undo the noise."""

    def integers(self, scale: float, length: int) -> IntArray:
        """Independent draws, (length,). Raises `PrivacyPlanRefused` for a scale that is too fine for the integers."""
        if not (math.isfinite(scale) and scale >= LEAST_SCALE):
            raise PrivacyPlanRefused(f"noise of {scale} units is too fine: at least {LEAST_SCALE} are needed")
        return np.asarray(_sampler(scale)([0] * length), dtype=np.int64)


@cache
def _sampler(scale: float) -> Any:
    # OpenDP loads a shared library, which only nodes that add noise need.
    import opendp.prelude as dp  # noqa: PLC0415

    dp.enable_features("contrib")
    vectors = dp.vector_domain(dp.atom_domain(T="i64"))
    return dp.m.make_gaussian(vectors, dp.l2_distance(T=float), scale=scale)


def share_scale(scale: float, noisers: int) -> float:
    """What each bank adds so that `noisers` of them together have standard deviation `scale`."""
    if noisers < 1:
        raise PrivacyPlanRefused("no bank is left whose noise counts: the threshold must exceed those who may collude")
    return scale / math.sqrt(noisers)


def closeness(share: float, parties: int, length: int) -> float:
    """How far, in max divergence, the sum of `parties` draws of scale `share` is from one draw, over `length` numbers.

    Kairouz et al. 2021, theorem 9 and corollary 12: a coordinate's probabilities differ by a factor of at most e^τ with
    τ = 10·Σ_{k=1}^{n−1} exp(−2π²·share²·k/(k+1)); over independent coordinates the exponents add up.
    """
    tau = 10.0 * sum(math.exp(-2.0 * math.pi**2 * share**2 * k / (k + 1)) for k in range(1, parties))
    return length * tau
