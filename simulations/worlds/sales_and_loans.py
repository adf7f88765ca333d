"""What firms of the sandbox do with their credits: sell some, pledge others and borrow on them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from simulations.worlds.api_client import ApiClient
from simulations.worlds.firms import Firm
from simulations.worlds.names import BUYERS

PRODUCT = "phcer_pledge_loan"
ANCHOR_FEN = 3_000  # 30 CNY/t, the published price of a Suzhou sale


def sell_and_retire(api: ApiClient, issued: dict[str, list[Any]], started_at: datetime) -> None:
    """Three sales to named buyers settled, one listing left open, and each buyer retires part of what it bought."""
    expires = (started_at + timedelta(days=14)).isoformat()
    terms = (
        ("dev-loufeng", BUYERS[0][0], 300, ANCHOR_FEN, True),
        ("dev-dushu", BUYERS[1][0], 120, ANCHOR_FEN + 50, True),
        ("dev-weiting", BUYERS[1][0], 200, ANCHOR_FEN - 40, True),
        ("dev-yangcheng", BUYERS[0][0], 60, ANCHOR_FEN + 20, False),
    )
    for seller, buyer, tonnes, price, settle in terms:
        largest = max(issued[seller], key=lambda issuance: int(issuance["quantity_kg"]))
        listing = api.post(
            seller,
            "/v1/listings",
            {
                "buyer_id": buyer,
                "asset": f"PHCER:{largest['issuance_id']}",
                "quantity_kg": tonnes * 1000,
                "price_fen_per_tonne": price,
                "expires_at": expires,
            },
            key=f"seed:listing:{seller}",
        )
        if not settle:
            continue
        path, whole = f"/v1/listings/{listing['listing_id']}/purchases", {"quantity_kg": tonnes * 1000}
        api.post(buyer, path, whole, key=f"seed:purchase:{seller}")
        retirement = {
            "issuance_id": largest["issuance_id"],
            "quantity_kg": tonnes * 400,
            "beneficiary": buyer,
            "purpose": f"operations in {started_at.year - 1} (sandbox)",
        }
        api.post(buyer, "/v1/retirements", retirement, key=f"seed:retire:{seller}")


def pledge_and_borrow(api: ApiClient, firms: list[Firm], issued: dict[str, list[Any]]) -> None:
    """A loan to one firm of each bank at rising use of the advance; the others only reserve credits for their bank."""
    for place, firm in enumerate(firms):
        largest = max(issued.get(firm.developer, []), key=lambda issuance: int(issuance["quantity_kg"]), default=None)
        if largest is None:
            continue
        tonnes = int(largest["quantity_kg"]) // 2_000
        pledge = api.post(
            firm.developer,
            "/v1/pledges",
            {"bank_id": firm.bank, "issuance_id": largest["issuance_id"], "quantity_kg": tonnes * 1000},
            key=f"seed:pledge:{firm.developer}",
        )
        if place % 2:
            continue
        lendable = tonnes * ANCHOR_FEN * 45 // 100
        decision = api.post(
            firm.bank,
            "/v1/decisions",
            {
                "borrower_id": firm.developer,
                "inquiry_id": firm.inquiry_id,
                "product": PRODUCT,
                "amount_fen": lendable * (90, 95, 100)[place // 2] // 100,
                "tenor_days": 180 + 60 * (place // 2),
                "pledge_ids": [pledge["pledge_id"]],
            },
            key=f"seed:decision:{firm.developer}",
        )
        if decision["outcome"] != "approve":
            continue
        loan = {
            "decision_id": decision["decision_id"],
            "amount_fen": decision["max_amount_fen"],
            "registration_number": f"SANDBOX-{firm.developer.upper()}-0001",
        }
        api.post(firm.bank, "/v1/loans", loan, key=f"seed:loan:{firm.developer}")
