"""Substitution: other credits take the place of pledged ones, in one commit, if the debt stays covered."""

from __future__ import annotations

from pydantic import Field

from financing.base.commands import Command, Id, Text, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted
from financing.lending.collateral.commands import PostPledge, ReleasePledge, post_pledge, release_pledge
from financing.lending.collateral.pledge import StoredPledge
from financing.lending.unit import UnitOfWork


class SubstitutePledge(Command):
    by_pledge_id: Id = Field(description="a pledge that the borrower reserved for the bank")
    registration_number: Text


@use_case
def substitute_pledge(
    unit: UnitOfWork, context: Context, pledge_id: str, command: SubstitutePledge
) -> tuple[StoredPledge, StoredPledge]:
    """Post the named pledge to the loan of `pledge_id` and release all of the latter, as the lender: (new, old).

    Raises `CoverageInsufficient` when the new pledge supports less than is needed, `InvalidState`, `NotPermitted`,
    `PriceMissing` and its kin; nothing is moved then.
    """
    if pledge_id == command.by_pledge_id:
        raise NotPermitted("a pledge does not replace itself", pledge_id=pledge_id)
    old = unit.pledges.get(pledge_id)
    context.require_party(old.pledge.pledgee)
    if old.pledge.loan_id is None:
        raise InvalidState("the pledge secures no loan", pledge_id=pledge_id)
    posting = PostPledge(loan_id=old.pledge.loan_id, registration_number=command.registration_number)
    new = post_pledge(unit, context, command.by_pledge_id, posting)
    return new, release_pledge(unit, context, pledge_id, ReleasePledge(quantity_kg=old.pledge.outstanding))
