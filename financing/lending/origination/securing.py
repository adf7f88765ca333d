"""Give a bank security beside pledged credits, and have it released: guarantees here, earnings in `earnings`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pydantic import Field

from financing.base.commands import Command, Fen, Id, Sha256, use_case
from financing.base.context import Context
from financing.base.errors import CoverageInsufficient, InvalidState, NotPermitted
from financing.base.quantities import business_date
from financing.lending.loans.loan import LoanState
from financing.lending.origination.securities import Security
from financing.lending.origination.security_store import StoredSecurity
from financing.lending.unit import UnitOfWork


class GiveGuarantee(Command):
    """The issuer answers for what `borrower_id` owes the bank, up to the amount."""

    bank_id: Id
    borrower_id: Id
    amount_fen: Fen
    valid_until: date
    evidence_sha256: Sha256 = Field(description="of the signed deed")


@use_case
def give_guarantee(unit: UnitOfWork, context: Context, command: GiveGuarantee) -> StoredSecurity:
    """Offer a guarantee, as the guarantor. Raises `NotPermitted` (for oneself, or not to a bank), `PeriodInvalid`."""
    unit.organisations.require_kind(command.bank_id, "bank")
    unit.organisations.get(command.borrower_id)
    if context.actor.id in {command.borrower_id, command.bank_id}:
        raise NotPermitted("nobody guarantees its own debt, or to itself", actor=context.actor.id)
    security = Security(
        security_id=context.new_id("sec"),
        kind="guarantee",
        provider=context.actor.id,
        bank=command.bank_id,
        borrower=command.borrower_id,
        value=command.amount_fen,
        since=business_date(context.at),
        valid_until=command.valid_until,
    )
    unit.securities.add(security, command.evidence_sha256, {"amount_fen": command.amount_fen.fen}, context.at)
    return unit.securities.get(security.security_id)


@use_case
def withdraw_security(unit: UnitOfWork, context: Context, security_id: str) -> StoredSecurity:
    """Take an offer back before a loan rests on it, as its provider. Raises `NotPermitted`, `InvalidState`."""
    stored = unit.securities.get(security_id)
    context.require_party(stored.security.provider)
    unit.securities.close(security_id, "offered", "withdrawn")
    return unit.securities.get(security_id)


@use_case
def release_security(unit: UnitOfWork, context: Context, security_id: str) -> StoredSecurity:
    """Give a security back, as the bank, when its loan is closed. Raises `NotPermitted`, `CoverageInsufficient`."""
    stored = unit.securities.get(security_id)
    context.require_party(stored.security.bank)
    if stored.loan_id is not None and unit.loans.get(stored.loan_id).loan.state is LoanState.ACTIVE:
        raise CoverageInsufficient("the loan still rests on this security", loan_id=stored.loan_id)
    unit.securities.close(security_id, "posted", "released")
    return unit.securities.get(security_id)


def offered(unit: UnitOfWork, context: Context, security_ids: Sequence[str], borrower_id: str) -> tuple[Security, ...]:
    """Securities offered to the acting bank for this borrower. Raises `NotPermitted`, `InvalidState`."""
    if len(set(security_ids)) != len(security_ids):
        raise InvalidState("an application names its securities, each once", security_ids=list(security_ids))
    securities = [unit.securities.get(security_id) for security_id in security_ids]
    for stored in securities:
        security = stored.security
        if security.bank != context.actor.id or security.borrower != borrower_id:
            raise NotPermitted("the security is not this borrower's to this bank", security_id=security.security_id)
        if stored.state != "offered":
            raise InvalidState(f"the security is {stored.state}", security_id=security.security_id)
    return tuple(stored.security for stored in securities)
