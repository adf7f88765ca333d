"""The sandbox's world, brought in over the public API as any participant would: no table is written behind its back.

Every command carries a fixed idempotency key and times derived from the day the sandbox was founded, so an interrupted
seeding is simply run again. Plants are generated with pvlib for Suzhou (and, where the shared research file is at hand,
two reference roofs are read from it); prices are a seeded geometric Brownian motion; pairing a firm with a credit
record is synthetic. All of it is called sandbox in what it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from simulations.worlds.api_client import ApiClient
from simulations.worlds.firms import admit, appoint_models, bring_in_firms
from simulations.worlds.names import BANKS, BUYERS, DEVELOPERS, EXCHANGE, PAYER_BANK
from simulations.worlds.order_book import open_order_book
from simulations.worlds.other_projects import seed_other_projects
from simulations.worlds.roofs import bring_in_credits, roofs_of
from simulations.worlds.sales_and_loans import ANCHOR_FEN, pledge_and_borrow, sell_and_retire
from simulations.worlds.trading_floor import open_trading_floor
from simulations.worlds.wallet import Wallet

PHCER = "PHCER"
ANNUAL_VOLATILITY = 0.42


def seed_sandbox(
    api: ApiClient, started_at: datetime, energy: Path | None, wallet: Wallet, say: Callable[[str], None]
) -> None:
    """Bring the whole world in; customers sign with the sandbox's `wallet`.

    Raises `Refused` where the API refuses, which a second run then continues from.
    """
    started_at = started_at.astimezone(UTC).replace(microsecond=0)
    say("deposits and a price history")
    deposit(api, BANKS, 2_000_000_000)
    record_prices(api, started_at)
    say("approval of the credit models")
    appoint_models(api)
    say(f"{len(DEVELOPERS)} firms: consents and scores at {len(BANKS)} banks")
    firms = bring_in_firms(api, started_at, wallet)
    admit(api, BUYERS, "buyer", wallet)
    deposit(api, [buyer for buyer, *_ in BUYERS], 30_000_000)
    roofs = roofs_of(started_at.year - 1, energy)
    issued: dict[str, list[Any]] = {}
    for number, roof in enumerate(roofs, 1):
        say(f"plant {number} of {len(roofs)}: {roof.name}, {len(roof.batch):,} readings")
        # The last two stay on the verifier's and the registry's work lists.
        issuance = bring_in_credits(api, roof, last_step=min(2, len(roofs) - number))
        if issuance is not None:
            issued.setdefault(roof.owner, []).append(issuance)
    say("a charging depot whose meter signs, and a wetland under verification")
    seed_other_projects(api, started_at)
    say("sales, retirements, pledges and loans")
    sell_and_retire(api, issued, started_at)
    pledge_and_borrow(api, firms, issued)
    say("an order book")
    open_order_book(api, EXCHANGE, issued, [buyer for buyer, *_ in BUYERS], ANCHOR_FEN)
    say("a package, a listing, an auction and a certificate of carbon neutrality")
    open_trading_floor(api, started_at, ANCHOR_FEN)


def deposit(api: ApiClient, organisations: list[str] | tuple[str, ...], amount_fen: int) -> None:
    """Pay the same amount in for each organisation."""
    for organisation_id in organisations:
        transfer = {"payer_bank": PAYER_BANK, "reference": f"opening {organisation_id}"}
        body = {"organisation_id": organisation_id, "amount_fen": amount_fen, **transfer}
        api.post(EXCHANGE, "/v1/deposits", body, key=f"seed:deposit:{organisation_id}")


def record_prices(api: ApiClient, started_at: datetime) -> None:
    """250 trading days up to the founding, ending at the anchor: geometric Brownian motion, seeded."""
    rng = np.random.default_rng(20221116)
    steps = rng.standard_normal(249) * ANNUAL_VOLATILITY / np.sqrt(252)
    path = np.exp(np.concatenate([[0.0], np.cumsum(steps)]))
    fen = np.rint(path / path[-1] * ANCHOR_FEN).astype(int)
    days = [
        started_at - timedelta(days=back) for back in range(400) if (started_at - timedelta(days=back)).weekday() < 5
    ]
    for price, day in zip(fen, reversed(days[: len(fen)]), strict=True):
        body = {
            "asset_class": PHCER,
            "price_fen_per_tonne": int(price),
            "observed_at": (day - timedelta(minutes=1)).isoformat(),
            "source": "sandbox, generated",
        }
        answer = api.post(EXCHANGE, "/v1/prices", body, key=f"seed:price:{day.date()}")
        if "proposal_id" in answer:
            # A year of prices in a minute moves further than a day may: the second officer says yes.
            path = f"/v1/proposals/{answer['proposal_id']}/confirmation"
            api.post(f"{EXCHANGE}:second", path, key=f"seed:price:{day.date()}:second")
