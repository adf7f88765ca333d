"""Using credits: pledge them to a bank (with a preview that changes nothing), retire them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep, Shown
from credit_api.console.posting import Post, PostDep, inputs_of, shown
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from financing.base.authority import HOLDERS
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import business_date
from financing.ledger.accounts import Asset
from financing.lending.collateral.commands import ReservePledge, reserve_pledge
from financing.lending.collateral.coverage import lines_of
from financing.lending.collateral.pledge import PledgedUse
from financing.lending.unit import UnitOfWork
from financing.registry.credits.queries import Holding, free_holdings
from financing.registry.retirement.commands import RetireCredits, retire_credits
from financing.valuation.marks import value_lots
from financing.valuation.pools import Lot, PoolValue, require_priced

router = Router(include_in_schema=False)
# How many issuances a form lets its reader choose from.
CHOICES = 200
Choice = Annotated[str, Query(max_length=64)]


def usable(unit: UnitOfWork, owner_id: str, issuance_id: str = "") -> list[Holding]:
    """Issuances of which the owner has something free, most first, the one named among them."""
    return free_holdings(unit.connection, owner_id, CHOICES, issuance_id)


def products_on(page: Page) -> list[LendingProduct]:
    """The products that hold today: those on credits alone first, the oldest first."""
    return page.parts.parameters.products_on(business_date(page.parts.clock()))


@router.get("/console/assets/pledge")
def pledge(
    page: PageDep, issuance_id: Choice = "", quantity: Choice = "", bank_id: Choice = "", product: Choice = ""
) -> Response:
    """Choose credits and a bank; with a quantity, what they are worth and what may be lent on them."""
    fields = {"issuance_id": [issuance_id], "quantity": [quantity], "bank_id": [bank_id], "product": [product]}
    return pledge_page(page, Post(page, fields))


def pledge_page(page: Page, chosen: Post) -> Response:
    me = page.principal(*HOLDERS).organisation_id
    at = page.parts.clock()
    preview: PoolValue | None = None
    problem: Shown | None = page.shown
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        rows = usable(unit, me, chosen.text("issuance_id", required=False))
        _choose_issuance(rows, chosen)
        # A refused reservation is shown in the form that it came from, which only a preview has.
        if chosen.text("quantity", required=False) and (problem is None or problem.form == "reserve"):
            try:
                issuance = unit.issuances.get(chosen.text("issuance_id"))
                lot = Lot(Asset.credits(issuance.issuance_id).code, issuance.asset_class, chosen.tonnes("quantity"))
                preview = require_priced(value_lots(unit, page.parts.parameters, [lot], at))
            except REFUSALS as refusal:
                problem = problem or shown(refusal, form="pledge", values=chosen.fields)
    page.shown = problem
    return page.render(
        "pledge.html",
        rows=rows,
        banks=[each for each in page.of_kind("bank") if each.id != me],
        products=products_on(page),
        chosen={name: chosen.text(name, required=False) for name in ("issuance_id", "quantity", "bank_id", "product")},
        preview=preview,
        lines=lines_of(preview) if preview else None,
        enough=preview is None or _enough(rows, chosen),
        use=inputs_of(PledgedUse),
    )


def _choose_issuance(rows: list[Holding], chosen: Post) -> None:
    """A quantity without an issuance (as a cure is quoted) is looked for in the one of which most is free."""
    if rows and not chosen.text("issuance_id", required=False):
        chosen.fields["issuance_id"] = [rows[0].issuance.issuance_id]


def _enough(rows: list[Holding], chosen: Post) -> bool:
    """Whether the quantity is free: a preview is shown either way, the reservation would be refused."""
    return any(
        row.issuance.issuance_id == chosen.text("issuance_id") and chosen.tonnes("quantity") <= row.available
        for row in rows
    )


@router.post("/console/assets/pledge")
def reserve(post: PostDep) -> Response:
    """Reserve credits for a bank: the first phase of a pledge."""
    return post.commit(
        lambda: reserve_pledge.given(post.read(ReservePledge)),
        to="/console/assets#pledges",
        flash="pledge_reserved",
        again=lambda page: pledge_page(page, post),
    )


@router.get("/console/assets/retire")
def retire(page: PageDep, issuance_id: Choice = "") -> Response:
    """Use credits up for a beneficiary."""
    return retire_page(page, issuance_id)


def retire_page(page: Page, issuance_id: str = "") -> Response:
    me = page.principal(*HOLDERS).organisation_id
    with page.parts.reading() as connection:
        rows = usable(UnitOfWork(connection), me, issuance_id)
    return page.render("retire.html", rows=rows, issuance_id=issuance_id)


@router.post("/console/assets/retire")
def use_up(post: PostDep) -> Response:
    """Retire for good, and go to the certificate."""
    return post.commit(
        lambda: retire_credits.given(post.read(RetireCredits)),
        to=lambda retired: f"/certificates/{retired.certificate_number}",
        flash="retired",
        again=retire_page,
    )
