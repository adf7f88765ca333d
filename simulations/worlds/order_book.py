"""The sandbox's order book: credits left over are listed, and their owner and the buyers quote around a price."""

from __future__ import annotations

from typing import Any

from simulations.worlds.api_client import ApiClient

LEVELS, STEP_FEN, TONNES = 3, 10, 5


def open_order_book(
    api: ApiClient, exchange: str, issued: dict[str, list[Any]], buyers: list[str], price_fen: int
) -> None:
    """List the first issuance with enough free, and place a few orders on both sides of `price_fen`."""
    # A seeding that is run again goes on with the instrument it chose: by now its credits are in orders.
    listed = {row["instrument"] for row in api.every(exchange, "/v1/instruments")}
    needed = LEVELS * TONNES * 1_000
    for owner, issuances in issued.items():
        free = {
            row["asset"]: row["available"] for row in api.every(owner, "/v1/balances") if row["account"] == "holding"
        }
        for issuance in issuances:
            instrument = f"PHCER:{issuance['issuance_id']}"
            if instrument not in listed and (listed or free.get(instrument, 0) < needed):
                continue
            body = {"instrument": instrument, "rules": "sandbox", "reference_fen_per_tonne": price_fen}
            api.post(exchange, "/v1/instruments", body, key="seed:instrument")
            for level in range(1, LEVELS + 1):
                _order(api, owner, instrument, "sell", price_fen + level * STEP_FEN)
                _order(api, buyers[level % len(buyers)], instrument, "buy", price_fen - level * STEP_FEN)
            return


def _order(api: ApiClient, owner: str, instrument: str, side: str, price_fen: int) -> None:
    body = {
        "instrument": instrument,
        "side": side,
        "quantity_kg": TONNES * 1_000,
        "price_fen_per_tonne": price_fen,
        "time_in_force": "day",
    }
    api.post(owner, "/v1/orders", body, key=f"seed:order:{side}:{price_fen}")
