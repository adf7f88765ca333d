"""What firms of the sandbox do with their credits: sell some, pledge others and borrow on them."""

from __future__ import annotations

from collections.abc import Mapping
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
        pledge = pledge_half(api, firm.bank, firm.developer, largest)
        if place % 2 == 0:
            use, days = (90, 95, 100)[place // 2], 180 + 60 * (place // 2)
            lend(api, firm.bank, firm.developer, pledge, {"inquiry_id": firm.inquiry_id}, use_percent=use, days=days)


def pledge_half(api: ApiClient, bank: str, developer: str, issuance: Any) -> Any:
    """Reserve half of an issuance, in whole tonnes, for a bank: the pledge."""
    tonnes = int(issuance["quantity_kg"]) // 2_000
    body = {"bank_id": bank, "issuance_id": issuance["issuance_id"], "quantity_kg": tonnes * 1000}
    return api.post(developer, "/v1/pledges", body, key=f"seed:pledge:{developer}")


def lend(
    api: ApiClient, bank: str, developer: str, pledge: Any, support: Mapping[str, Any], *, use_percent: int, days: int
) -> tuple[Any, Any]:
    """Decide about so much of what a pledge lends, on a score that `support` names, and pay out what was approved.

    The decision, and the loan or None.
    """
    lendable = int(pledge["quantity_kg"]) // 1000 * ANCHOR_FEN * 45 // 100
    decision = api.post(
        bank,
        "/v1/decisions",
        {
            "borrower_id": developer,
            "product": PRODUCT,
            "amount_fen": lendable * use_percent // 100,
            "tenor_days": days,
            "pledge_ids": [pledge["pledge_id"]],
        }
        | dict(support),
        key=f"seed:decision:{developer}",
    )
    if decision["outcome"] != "approve":
        return decision, None
    loan = {
        "decision_id": decision["decision_id"],
        "amount_fen": decision["max_amount_fen"],
        "registration_number": f"SANDBOX-{developer.upper()}-0001",
    }
    return decision, api.post(bank, "/v1/loans", loan, key=f"seed:loan:{developer}")
