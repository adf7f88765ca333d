"""The market: prices, marks and own listings; moving the price and crediting deposits for the exchange."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import PostDep
from credit_api.http.routing import Router
from credit_api.over_the_counter.dealing import own_listings
from credit_api.prices.charts import HISTORY, price_charts
from financing.base.quantities import Money, business_date
from financing.base.storage.paging import Page as Rows
from financing.ledger.accounts import AccountKind
from financing.ledger.deposits import Deposit, deposit
from financing.lending.business_day.pricing import RecordPrice, record_price
from financing.lending.unit import UnitOfWork
from financing.valuation.marks import marks_of

router = Router(include_in_schema=False)
SHOWN = 12


@router.get("/console/market")
def market(page: PageDep) -> Response:
    """Prices and marks by class."""
    return market_page(page)


def market_page(page: Page) -> Response:
    principal = page.principal()
    at = page.parts.clock()
    classes = page.parts.parameters.classes_on(business_date(at))
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        marks = marks_of(unit, page.parts.parameters, classes, at)
        histories = {key: unit.prices.prices(key, HISTORY) for key in classes}
        listings, names = own_listings(page, unit)
        balances = _cash_of_everyone(page, unit) if principal.kind == "exchange" else Rows([])
    return page.render(
        "market.html",
        classes=classes,
        marks=marks,
        histories={key: list(reversed(seen))[:SHOWN] for key, seen in histories.items()},
        drawings={key: price_charts(seen) for key, seen in histories.items() if seen},
        exchange=principal.kind == "exchange",
        listings=listings,
        names=names,
        balances=balances,
        everyone=page.organisations().values() if principal.kind == "exchange" else (),
        at=at,
    )


def _cash_of_everyone(page: Page, unit: UnitOfWork) -> Rows[tuple[str, Money]]:
    """Who has how much settlement money, for the exchange."""
    balances = unit.ledger.balances(kinds=[AccountKind.CASH], window=page.window("balances"))
    return balances.map(lambda rows: [(each.key.owner_id, Money(each.posted)) for each in rows])


@router.post("/console/market/prices")
def move_price(post: PostDep) -> Response:
    """Record a price now; every active loan is looked at again in the same commit."""
    return post.commit(
        lambda: record_price.given(post.read(RecordPrice, observed_at=post.page.parts.clock())),
        to="/console/market",
        flash=lambda done: "price_moved_calls" if done.revalued.called > 0 else "price_moved",
        again=market_page,
    )


@router.post("/console/market/deposits")
def add_deposit(post: PostDep) -> Response:
    """Credit money that reached the exchange's settlement account to a participant."""
    return post.commit(
        lambda: deposit.given(post.read(Deposit)), to="/console/market#deposits", flash="deposited", again=market_page
    )
