"""The first page: both stories with the sandbox's own figures, and how to begin."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console import charts
from credit_api.console.figures import asset_story, customer_story
from credit_api.console.pages import PageDep
from credit_api.http.routing import Router
from credit_api.organisations.console import actors
from credit_api.prices.charts import HISTORY, PRICED, price_charts
from financing.lending.unit import UnitOfWork
from financing.valuation.marks import marks_of

router = Router(include_in_schema=False)
MODELS = ("federated", "bank_only", "label_holder_only", "xgboost")


@router.get("/")
def home(page: PageDep) -> Response:
    """Both stories, from the books and the network as they stand."""
    at = page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        assets = asset_story(connection, page.parts.parameters, page.parts.nodes, at)
        credit = customer_story(page.parts, connection, at)
        mark = marks_of(unit, page.parts.parameters, [PRICED], at)[PRICED]
        history = unit.prices.prices(PRICED, HISTORY)
    champion = credit.champion
    return page.render(
        "home.html",
        story=assets,
        credit=credit,
        panels=charts.metric_panels(champion.metrics, MODELS) if champion else (),
        mark=mark,
        price_class=PRICED,
        price_drawings=price_charts(history),
        groups=actors(page),
    )
