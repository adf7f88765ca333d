"""The products that hold today, as a loan officer reads them: security, price, repayment, limits, who approved."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.credits.holdings_console import products_on
from credit_api.http.routing import Router
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import Money, Rate, business_date

router = Router(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Card:
    """A product with its amounts and rates as quantities.

    `grid` is (grade, spread, LPR of today + spread): the least a loan of that grade costs, as `price_loan` takes the
    higher of it and the price of the risk. Above `ceiling` an application is declined. `securities` are (kind, how much
    of the value may be lent, share of the loan that must be there).
    """

    product: LendingProduct
    second_above: Money
    second_limit: Money
    ceiling: Rate
    penal: Rate
    fee: Rate
    securities: list[tuple[str, Rate, Rate]]
    grid: list[tuple[str, Rate, Rate]]
    green: tuple[Rate, Rate] | None


@router.get("/console/products")
def products(page: PageDep) -> Response:
    """Every product that holds today."""
    page.principal("bank")
    return page.render("products.html", cards=[_card(page, product) for product in products_on(page)])


def _card(page: Page, product: LendingProduct) -> Card:
    on = business_date(page.parts.clock())
    prime = page.parts.parameters.prime_rate(product.lpr_term, on).rate
    return Card(
        product=product,
        second_above=Money(product.second_person_above_fen),
        second_limit=Money(product.second_person_limit_fen),
        ceiling=Rate(product.rate_bps_max),
        penal=Rate(product.penal_share_bps),
        fee=Rate(product.arrangement_fee_bps),
        securities=[(each.kind, Rate(each.advance_bps), Rate(each.share_bps_min)) for each in product.securities],
        grid=[(row.grade, Rate(row.spread_bps), prime + Rate(row.spread_bps)) for row in product.rate_grid],
        green=(Rate(product.green.reward_bps), Rate(product.green.penalty_bps)) if product.green else None,
    )
