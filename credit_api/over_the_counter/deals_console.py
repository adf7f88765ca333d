"""Deals that both sides sign, and requests for quotes: what each side owes is shown before it is set aside."""

from __future__ import annotations

from datetime import datetime

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Post, PostDep
from credit_api.http.routing import Router
from credit_api.over_the_counter.dealing import asset_choices, asset_names, fees, free_of, in_days
from financing.base.authority import HOLDERS
from financing.base.commands import Id, Signed
from financing.base.quantities import business_date
from financing.lending.unit import UnitOfWork
from financing.market.delivery import rules_of
from financing.market.over_the_counter.commands import (
    AskForQuotes,
    GiveQuote,
    ProposeDeal,
    ask_for_quotes,
    end_deal,
    end_quote,
    end_request,
    give_quote,
    propose_deal,
    sign_deal,
    take_quote,
)

router = Router(include_in_schema=False)
QUOTES = "/console/trade/quotes"


@router.get("/console/trade/deals")
def deals(page: PageDep) -> Response:
    """Deals of the acting organisation, newest first, and a form that drafts one."""
    return deals_page(page)


def deals_page(page: Page) -> Response:
    principal = page.principal()
    me, at = principal.organisation_id, page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        rows = unit.otc.deals_of(me, page.window("deals"))
        names = asset_names(unit, (each.asset for each in rows))
        choices = asset_choices(unit, me) if principal.kind in HOLDERS else {}
    return page.render(
        "deals.html",
        deals=rows.map(
            lambda part: [(each, each.state_at(at), fees(page, each.quantity, each.price)) for each in part]
        ),
        names=names,
        choices=choices,
        me=me,
        trader=principal.kind in HOLDERS,
        parties=[each for each in page.of_kind(*HOLDERS) if each.id != me],
        days_max=rules_of(page.context()).deal_days_max,
    )


@router.post("/console/trade/deals")
def propose(post: PostDep) -> Response:
    """Draft a deal. Nothing is set aside before a side signs."""
    return post.commit(
        lambda: propose_deal.given(post.read(ProposeDeal, expires_at=_ends(post))),
        to="/console/trade/deals",
        flash="deal_proposed",
        again=deals_page,
    )


def _ends(post: Post) -> datetime:
    """When what is proposed for a number of days lapses."""
    context = post.page.context()
    return in_days(post, context.at, rules_of(context).deal_days_max)


@router.post("/console/trade/deals/{deal_id}/signature")
def sign(post: PostDep, deal_id: Id) -> Response:
    """Sign as one side: what it owes goes into escrow, and the second signature settles."""
    return post.commit(
        lambda: sign_deal.given(deal_id, post.read(Signed)),
        to="/console/trade/deals",
        flash=lambda signed: "deal_settled" if signed.state == "settled" else "deal_signed",
        again=deals_page,
    )


@router.post("/console/trade/deals/{deal_id}/end")
def end(post: PostDep, deal_id: Id) -> Response:
    """Decline a deal: both escrows return."""
    return post.commit(lambda: end_deal.given(deal_id), to="/console/trade/deals", flash="deal_ended", again=deals_page)


@router.get("/console/trade/quotes")
def quotes(page: PageDep) -> Response:
    """Requests for quotes with the quotes that the acting organisation may see."""
    return quotes_page(page)


def quotes_page(page: Page) -> Response:
    principal = page.principal()
    me, at = principal.organisation_id, page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        requests = unit.otc.requests(page.window("requests"))
        given = {
            each.request_id: [
                (quote, quote.state_at(at), fees(page, quote.quantity, quote.price))
                for quote in unit.otc.quotes(each.request_id)
                if me in (each.requester, quote.maker)
            ]
            for each in requests
        }
        free = free_of(unit, me) if principal.kind in HOLDERS else []
        quoted = [quote.asset for quotes in given.values() for quote, _, _ in quotes]
        names = asset_names(unit, [*quoted, *(each.wanted for each in requests if each.side == "sell")])
    return page.render(
        "quotes.html",
        requests=requests.map(lambda part: [(each, each.state_at(at)) for each in part]),
        given=given,
        names=names,
        free=free,
        classes=sorted(page.parts.parameters.classes_on(business_date(at))),
        me=me,
        trader=principal.kind in HOLDERS,
        days_max=rules_of(page.context()).deal_days_max,
    )


@router.post("/console/trade/quotes")
def ask(post: PostDep) -> Response:
    """Ask everyone for firm prices, to buy a class of credits or to sell one asset."""
    return post.commit(
        lambda: ask_for_quotes.given(post.read(AskForQuotes, wanted=post.text("asset"), expires_at=_ends(post))),
        to=QUOTES,
        flash="quote_asked",
        again=quotes_page,
    )


@router.post("/console/trade/quotes/{request_id}/answers")
def answer(post: PostDep, request_id: Id) -> Response:
    """Answer with a firm price: what the maker would owe goes into escrow."""
    return post.commit(
        lambda: give_quote.given(request_id, post.read(GiveQuote, expires_at=_ends(post))),
        to=QUOTES,
        flash="quote_given",
        again=quotes_page,
    )


@router.post("/console/trade/quotes/{request_id}/end")
def end_asking(post: PostDep, request_id: Id) -> Response:
    """Withdraw a request: every open quote lapses."""
    return post.commit(lambda: end_request.given(request_id), to=QUOTES, flash="quote_ended", again=quotes_page)


@router.post("/console/trade/answers/{quote_id}/acceptance")
def take(post: PostDep, quote_id: Id) -> Response:
    """Take a quote as its requester: it settles at once, the others lapse."""
    return post.commit(lambda: take_quote.given(quote_id), to=QUOTES, flash="quote_taken", again=quotes_page)


@router.post("/console/trade/answers/{quote_id}/end")
def take_back(post: PostDep, quote_id: Id) -> Response:
    """Take a quote back as its maker."""
    return post.commit(lambda: end_quote.given(quote_id), to=QUOTES, flash="quote_ended", again=quotes_page)
