"""Substitution: other credits take the place of pledged ones, in one commit, if the debt stays covered."""

from __future__ import annotations

from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted
from financing.lending.collateral.commands import PostPledge, post_pledge, release_pledge
from financing.lending.store import StoredPledge
from financing.lending.unit import UnitOfWork


def substitute(
    unit: UnitOfWork, context: Context, pledge_id: str, by_pledge_id: str, registration_number: str
) -> tuple[StoredPledge, StoredPledge]:
    """Post `by_pledge_id` to the loan of `pledge_id` and release all of the latter, as the lender: (new, old).

    Raises `CoverageInsufficient` when the new pledge supports less than is needed, `InvalidState`, `NotPermitted`,
    `PriceMissing` and its kin; nothing is moved then.
    """
    if pledge_id == by_pledge_id:
        raise NotPermitted("a pledge does not replace itself", pledge_id=pledge_id)
    old = unit.lending.pledge(pledge_id)
    context.require_party(old.pledge.pledgee)
    if old.pledge.loan_id is None:
        raise InvalidState("the pledge secures no loan", pledge_id=pledge_id)
    new = post_pledge(unit, context, PostPledge(by_pledge_id, old.pledge.loan_id, registration_number))
    return new, release_pledge(unit, context, pledge_id, old.pledge.outstanding)
