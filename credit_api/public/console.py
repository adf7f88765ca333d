"""For everyone, signed in or not: statistics of the registry, downloads, and the calculator of the PV subsidy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from credit_api.console.bars import Bars, bars
from credit_api.console.formats import tonnes
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Post, shown
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from financing.base.parameters.records import PvSubsidy
from financing.base.quantities import Carbon, Money, business_date
from financing.registry.statistics import SHOWN, Cell, StatisticsStore
from financing.valuation.streams.subsidies import SubsidyYear, estimate

router = Router(include_in_schema=False)
WIDTHS = (1120, 340)
Typed = Annotated[str, Query(max_length=64)]


@router.get("/public")
def public(page: PageDep, programme: Typed = "", capacity: Typed = "", connected_on: Typed = "") -> Response:
    """Where all credits are, and what a rooftop plant may be paid; nothing here is behind a sign-in."""
    today = business_date(page.parts.clock())
    programmes = [each for each in page.parts.parameters.pv_subsidies.records if each.holds_on(today)]
    fields = {"programme": [programme], "capacity": [capacity], "connected_on": [connected_on]}
    rules, years = _estimated(page, Post(page, fields)) if capacity else (None, ())
    with page.parts.reading() as connection:
        cells = StatisticsStore(connection).by_kind()
    return page.render(
        "public.html",
        cells=cells,
        shown_kinds=SHOWN,
        drawings=_drawings(page, cells),
        programmes=programmes,
        asked={name: values[0] for name, values in fields.items()},
        today=today,
        rules=rules,
        years=years,
        low=sum((each.low for each in years), Money(0)),
        high=sum((each.high for each in years), Money(0)),
        kg=Carbon,
    )


def _estimated(page: Page, asked: Post) -> tuple[PvSubsidy | None, tuple[SubsidyYear, ...]]:
    """The programme and its years; a refusal is shown on the page with what was entered."""
    try:
        connected_on = asked.day("connected_on")
        rules = page.parts.parameters.pv_subsidy(asked.text("programme"), connected_on)
        return rules, estimate(rules, asked.watts("capacity"), connected_on)
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="subsidy", values=asked.fields)
        return None, ()


def _drawings(page: Page, cells: Sequence[Cell]) -> tuple[Bars, ...]:
    sums = {kind: sum(cell.by_account[kind] for cell in cells) for kind in SHOWN}
    if not any(sums.values()):
        return ()
    values = [(page.t("account." + kind), amount, tonnes(Carbon(amount))) for kind, amount in sums.items()]
    return tuple(bars(width, values) for width in WIDTHS)
