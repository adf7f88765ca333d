"""Security beside pledged credits: guarantees, electricity receivables, future reductions."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from credit_api.http.callers import PartsDep, PrincipalDep
from credit_api.http.commands import IdempotencyDep, commit
from credit_api.http.fields import Id
from credit_api.http.problems import PROBLEMS
from credit_api.lending.loan_life_schemas import EarningsIn, GuaranteeIn, SecurityOut
from financing.base.context import Context
from financing.base.quantities import Money, Rate
from financing.lending.origination.earnings import Earnings, give_earnings
from financing.lending.origination.securing import (
    Guarantee,
    give_guarantee,
    release_security,
    withdraw_security,
)
from financing.lending.unit import UnitOfWork

router = APIRouter(prefix="/v1", tags=["lending"], responses=PROBLEMS)


@router.post("/guarantees", status_code=201, response_model=SecurityOut)
async def guarantee(
    body: GuaranteeIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Guarantee another organisation's debt to a bank, up to an amount."""

    def run(unit: UnitOfWork, context: Context) -> SecurityOut:
        command = Guarantee(
            body.bank_id, body.borrower_id, Money(body.amount_fen), body.valid_until, body.evidence_sha256
        )
        return SecurityOut.of(give_guarantee(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.post("/earnings", status_code=201, response_model=SecurityOut)
async def earnings(
    body: EarningsIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Give a bank a plant's electricity bills or future reductions as security, valued at P90."""

    def run(unit: UnitOfWork, context: Context) -> SecurityOut:
        command = Earnings(
            body.bank_id, body.project_id, body.kind, body.years, Rate(body.share_bps), body.evidence_sha256
        )
        return SecurityOut.of(give_earnings(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/securities")
def list_securities(parts: PartsDep, principal: PrincipalDep) -> list[SecurityOut]:
    """Securities that the caller gave, holds, or borrows against, newest first."""
    with parts.reading() as connection:
        found = UnitOfWork(connection).securities.of_organisation(principal.organisation_id)
    return [SecurityOut.of(stored) for stored in found]


@router.post("/securities/{security_id}/withdrawal", response_model=SecurityOut)
async def withdraw(
    security_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take an offered security back, as its provider, before a loan rests on it."""

    def run(unit: UnitOfWork, context: Context) -> SecurityOut:
        return SecurityOut.of(withdraw_security(unit, context, security_id))

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/securities/{security_id}/release", response_model=SecurityOut)
async def release(
    security_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Give a security back, as the bank, when its loan is closed."""

    def run(unit: UnitOfWork, context: Context) -> SecurityOut:
        return SecurityOut.of(release_security(unit, context, security_id))

    return await commit(parts, principal, key, request, None, run, status=200)
