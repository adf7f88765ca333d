"""What can happen to a loan: one tagged union for what a command asks, a loan records and an answer shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from financing.base.commands import Command, Fen, Measure, Sha256
from financing.base.quantities import Money, Rate

RATE_BPS_MAX = 3_600
SchemeName = Literal["bullet", "interest_only", "equal_principal", "annuity"]
AnnualRate = Annotated[
    Rate, Measure(Rate, "_bps", 1, "0.01 %", least=0, most=RATE_BPS_MAX), Field(description="basis points a year")
]


class _Happening(Command):
    """`value_on` is the day it takes effect."""

    value_on: date | None = Field(default=None, description="the day it takes effect; today if left out")

    @property
    def amount(self) -> Money:
        """The money that it moves."""
        return getattr(self, "amount_fen", Money(0))

    @property
    def rate(self) -> Rate | None:
        """The rate that holds after it, if it names one."""
        return getattr(self, "annual_rate_bps", None)


class Disbursement(_Happening):
    """A tranche is paid out."""

    kind: Literal["disbursement"] = "disbursement"
    amount_fen: Fen


class RateChange(_Happening):
    """Another rate from this day on. `evidence_sha256` is of what a review of a target rests on."""

    kind: Literal["rate"] = "rate"
    annual_rate_bps: AnnualRate
    evidence_sha256: Sha256 | None = None


class Holiday(_Happening):
    """No principal falls due until a day; `full`: interest is deferred too."""

    kind: Literal["holiday"] = "holiday"
    until: date
    full: bool = Field(default=False, strict=True)


class Restructuring(_Happening):
    """A new schedule, rate or last day; `capitalised`: what is overdue becomes principal. Nothing named stays."""

    kind: Literal["restructuring"] = "restructuring"
    until: date | None = None
    scheme: SchemeName | None = None
    annual_rate_bps: AnnualRate | None = None
    capitalised: bool = Field(default=False, strict=True)


class Freeze(_Happening):
    """No further interest is accrued while a court or a regulator has frozen the loan."""

    kind: Literal["freeze"] = "freeze"


class Unfreeze(_Happening):
    kind: Literal["unfreeze"] = "unfreeze"


class Repayment(_Happening):
    """The borrower pays; what is paid ahead makes the loan shorter, or its instalments smaller."""

    kind: Literal["repayment"] = "repayment"
    amount_fen: Fen
    shorten: bool = Field(default=True, strict=True)


class Disposal(_Happening):
    """Proceeds of sold collateral pay the debt."""

    kind: Literal["disposal"] = "disposal"
    amount_fen: Fen


class WriteOff(_Happening):
    """What is left of the debt is a loss."""

    kind: Literal["write_off"] = "write_off"


class Recovery(_Happening):
    """The borrower pays on a loan that was written off."""

    kind: Literal["recovery"] = "recovery"
    amount_fen: Fen


Happening = Annotated[
    Disbursement
    | RateChange
    | Holiday
    | Restructuring
    | Freeze
    | Unfreeze
    | Repayment
    | Disposal
    | WriteOff
    | Recovery,
    Field(discriminator="kind"),
]
# What a party may ask for by itself; tranches, repayments and sales have commands of their own.
Servicing = Annotated[
    RateChange | Holiday | Restructuring | Freeze | Unfreeze | WriteOff | Recovery, Field(discriminator="kind")
]
# Within one day: what changes the debt or its terms first, then what pays it, then what ends it.
ORDER = {
    kind: place
    for place, kind in enumerate(
        (
            "disbursement",
            "rate",
            "holiday",
            "restructuring",
            "freeze",
            "unfreeze",
            "repayment",
            "disposal",
            "write_off",
            "recovery",
        )
    )
}


@dataclass(frozen=True, slots=True)
class LoanEvent:
    """Something that happened to a loan. `sequence` is the order of entry; `reversed` events count for nothing."""

    what: Happening
    sequence: int
    reversed: bool = False

    @property
    def value_on(self) -> date:
        """The day it took effect: every recorded event has one."""
        assert self.what.value_on is not None
        return self.what.value_on


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is on record. `external_id` is the payer's own number; no entry, if no balance changed."""

    event: LoanEvent
    external_id: str | None
    entry_id: int | None
    actor_id: str
    recorded_at: datetime
