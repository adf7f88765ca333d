"""What the lender adds to a running loan: a further tranche, and other credits in the place of pledged ones."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.posting import Done, PostDep, apply
from credit_api.http.fields import Id
from credit_api.lending.loans_console import loan_page
from financing.base.context import Context
from financing.base.errors import InvalidState
from financing.lending.collateral.substituting import substitute
from financing.lending.origination.commands import draw_tranche
from financing.lending.unit import UnitOfWork

router = APIRouter(include_in_schema=False)


@router.post("/console/loans/{loan_id}/tranches")
def draw(post: PostDep, loan_id: Id) -> Response:
    """Pay out a further part of what was committed, as the lender, if the collateral covers the whole debt."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        draw_tranche(unit, context, loan_id, post.yuan("amount"))
        return Done(to=f"/console/loans/{loan_id}", flash="tranche_paid")

    return apply(post, run, lambda page: loan_page(page, loan_id))


@router.post("/console/loans/{loan_id}/substitutions/{pledge_id}")
def replace(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """Put a reserved pledge in the place of a posted one, as the lender, if the debt stays covered."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        # The page names the loan, the service the pledge: a form for one loan never changes another.
        if unit.lending.pledge(pledge_id).pledge.loan_id != loan_id:
            raise InvalidState("the pledge does not secure this loan", pledge_id=pledge_id, loan_id=loan_id)
        substitute(unit, context, pledge_id, post.text("by_pledge_id"), post.text("registration_number"))
        return Done(to=f"/console/loans/{loan_id}", flash="substituted")

    return apply(post, run, lambda page: loan_page(page, loan_id))
