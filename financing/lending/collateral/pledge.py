"""A pledge is a two-phase transfer: reserved → posted → released | disposed; reserved → void | expired.

Parts may be released or disposed of while posted; the pledge ends when nothing is outstanding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from financing.base.commands import Sha256, Text
from financing.base.errors import InvalidState, PeriodInvalid, QuantityOutOfRange
from financing.base.quantities import Carbon, require_utc
from financing.ledger.accounts import Asset
from financing.valuation.pools import Lot

NOTHING = Carbon(0)


class PledgeState(StrEnum):
    RESERVED = "reserved"
    POSTED = "posted"
    RELEASED = "released"
    DISPOSED = "disposed"
    VOID = "void"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Pledge:
    """One lot pledged by `pledgor` to `pledgee`. `released` and `disposed` are the parts that left it."""

    pledge_id: str
    pledgor: str
    pledgee: str
    lot: Lot
    reserved_at: datetime
    expires_at: datetime
    state: PledgeState = PledgeState.RESERVED
    loan_id: str | None = None
    released: Carbon = NOTHING
    disposed: Carbon = NOTHING

    def __post_init__(self) -> None:
        object.__setattr__(self, "reserved_at", require_utc(self.reserved_at))
        object.__setattr__(self, "expires_at", require_utc(self.expires_at))
        if self.expires_at <= self.reserved_at:
            raise PeriodInvalid("a reservation lasts", expires_at=str(self.expires_at))

    @property
    def outstanding(self) -> Carbon:
        """What is still pledged: zero once void, expired, released or disposed of."""
        if self.state in {PledgeState.VOID, PledgeState.EXPIRED}:
            return NOTHING
        return self.lot.quantity - self.released - self.disposed

    def remaining_lot(self) -> Lot | None:
        return replace(self.lot, quantity=self.outstanding) if self.outstanding else None


class PledgedUse(BaseModel):
    """What a pledgor states of its credits: evidence, and when an allowance must be surrendered or is carried over."""

    contract_number: Text | None = Field(default=None, description="of the pledge contract (质押合同编号)")
    evidence_sha256: Sha256 | None = None
    compliance_year: int | None = Field(default=None, strict=True, ge=2013, le=2100)
    surrender_by: date | None = Field(default=None, description="when an allowance loses its use")
    carry_over: bool = Field(default=False, strict=True, description="whether it may be used in the next year")


class PledgeStanding(PledgedUse):
    """What is kept of a pledge and shown of it: its class, how it stands, and what the registries gave for it."""

    asset_class: str
    state: str
    registration_number: str | None
    registered_on: date | None
    freeze_number: str | None


@dataclass(frozen=True, slots=True)
class StoredPledge:
    """A pledge with what its pledgor stated and what the registries gave the lender for it."""

    pledge: Pledge
    use: PledgedUse
    registration_number: str | None
    registered_on: date | None = None
    freeze_number: str | None = None

    @property
    def issuance_id(self) -> str:
        return Asset(self.pledge.lot.asset).issuance_id


def post(pledge: Pledge, loan_id: str, at: datetime) -> Pledge:
    """Make the pledge effective for a loan. Raises `InvalidState` unless reserved and not lapsed."""
    _require(pledge, PledgeState.RESERVED)
    if require_utc(at) >= pledge.expires_at:
        raise InvalidState("the reservation has lapsed", pledge_id=pledge.pledge_id)
    return replace(pledge, state=PledgeState.POSTED, loan_id=loan_id)


def void(pledge: Pledge) -> Pledge:
    """Give up a reservation before it is posted."""
    _require(pledge, PledgeState.RESERVED)
    return replace(pledge, state=PledgeState.VOID)


def expire(pledge: Pledge, at: datetime) -> Pledge:
    """End a lapsed reservation. Raises `InvalidState` before its expiry."""
    _require(pledge, PledgeState.RESERVED)
    if require_utc(at) < pledge.expires_at:
        raise InvalidState("the reservation has not lapsed", pledge_id=pledge.pledge_id)
    return replace(pledge, state=PledgeState.EXPIRED)


def release(pledge: Pledge, quantity: Carbon) -> Pledge:
    """Return `quantity` to the pledgor. Whether it may be is `coverage.require_releasable`'s question."""
    after = replace(pledge, released=pledge.released + _part(pledge, quantity))
    return after if after.outstanding else replace(after, state=PledgeState.RELEASED)


def dispose(pledge: Pledge, quantity: Carbon) -> Pledge:
    """Take `quantity` for sale. Whether it may be is `disposal.require_disposable`'s question."""
    after = replace(pledge, disposed=pledge.disposed + _part(pledge, quantity))
    return after if after.outstanding else replace(after, state=PledgeState.DISPOSED)


def _part(pledge: Pledge, quantity: Carbon) -> Carbon:
    _require(pledge, PledgeState.POSTED)
    if quantity.require_positive() > pledge.outstanding:
        raise QuantityOutOfRange("the pledge holds less", outstanding_kg=pledge.outstanding.kg, asked_kg=quantity.kg)
    return quantity


def _require(pledge: Pledge, needed: PledgeState) -> None:
    if pledge.state is not needed:
        raise InvalidState(f"the pledge is {pledge.state}, not {needed}", pledge_id=pledge.pledge_id)
