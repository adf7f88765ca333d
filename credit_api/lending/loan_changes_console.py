"""What the lender adds to a running loan: a further tranche, and other credits in the place of pledged ones."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.posting import PostDep
from credit_api.http.routing import Router
from credit_api.lending.loans_console import on_loan
from financing.base.commands import Id, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState
from financing.lending.collateral.substituting import SubstitutePledge, substitute_pledge
from financing.lending.origination.commands import DrawTranche, draw_tranche
from financing.lending.unit import UnitOfWork

router = Router(include_in_schema=False)


@router.post("/console/loans/{loan_id}/tranches")
def draw(post: PostDep, loan_id: Id) -> Response:
    """Pay out a further part of what was committed, as the lender, if the collateral covers the whole debt."""
    return on_loan(post, loan_id, lambda: draw_tranche.given(loan_id, post.read(DrawTranche)), "tranche_paid")


@router.post("/console/loans/{loan_id}/substitutions/{pledge_id}")
def replace(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """Put a reserved pledge in the place of a posted one, as the lender, if the debt stays covered."""
    return on_loan(
        post, loan_id, lambda: replace_on_loan.given(loan_id, pledge_id, post.read(SubstitutePledge)), "substituted"
    )


@use_case
def replace_on_loan(
    unit: UnitOfWork, context: Context, loan_id: str, pledge_id: str, command: SubstitutePledge
) -> None:
    """The page names the loan, the command the pledge: a form for one loan never changes another."""
    if unit.pledges.get(pledge_id).pledge.loan_id != loan_id:
        raise InvalidState("the pledge does not secure this loan", pledge_id=pledge_id, loan_id=loan_id)
    substitute_pledge(unit, context, pledge_id, command)
