"""Events of a contract: when, what, what flows, and the state after it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from financing.base.errors import ContractInvalid

# Within one moment events take effect in this order (ACTUS 2.9; PRF follows RR in an annuity).
ORDER = (
    "AD", "IED", "FP", "PR", "PRF", "PY", "PP", "IP", "IPCI", "CE", "RRF", "RR", "PRF2", "DV", "PRD", "MR", "TD", "SC",
    "IPCB", "MD", "XD", "STD",
)  # fmt: skip
_PLACE = {kind: place for place, kind in enumerate(ORDER)}


@dataclass(frozen=True, slots=True)
class Planned:
    """An event that a contract schedules: `reported` is when it happens, `calculated` for when interest is reckoned."""

    kind: str
    reported: datetime
    calculated: datetime
    value: float | None = None

    @property
    def order(self) -> tuple[datetime, int]:
        return self.calculated, _PLACE[self.kind]


@dataclass(frozen=True, slots=True)
class Event:
    """An event that happened, with the contract's state after it. `exercise` is what a guarantee or collateral owes,
    `exercised` when the credit event was."""

    kind: str
    at: datetime
    payoff: float
    currency: str
    notional: float
    rate: float
    accrued: float
    exercise: float | None = None
    exercised: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What was observed from outside: values of market objects by time, ascending, and events of counterparties."""

    series: Mapping[str, tuple[tuple[datetime, float], ...]]
    events: Sequence[Mapping[str, object]] = ()

    def at(self, code: str, moment: datetime) -> float:
        """The last value of a market object up to `moment`. Raises `ContractInvalid` when there is none."""
        known = self.series.get(code, ())
        place = bisect_right([when for when, _ in known], moment)
        if not place:
            raise ContractInvalid("nothing was observed of a market object by then", code=code, at=str(moment))
        return known[place - 1][1]
