"""The sandbox's trade beside the book: credits in a package, on a list, at auction, and behind a certificate.

All of it is called sandbox or generated in what it shows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from simulations.worlds.api_client import ApiClient

REGISTRY, CERTIFIER, DEPOT, HOTEL = "registry-sip", "verifier-cqc", "dev-weiting", "buyer-jinji-hotel"
PROJECT_CODE = "EV001"
TONNE = 1_000


def open_trading_floor(api: ApiClient, started_at: datetime, price_fen: int) -> None:
    """Bring in one of each. Times derive from the founding, so that a second seeding repeats the same commands."""
    issuance = next(each for each in api.every(DEPOT, "/v1/issuances") if each["project_code"] == PROJECT_CODE)
    asset = f"PHCER:{issuance['issuance_id']}"
    package = {
        "code": "SIP-EV-SANDBOX",
        "name": "Charging in SIP (sandbox)",
        "criteria": {"methodologies": ["EV"]},
        "redemption": "oldest_first",
    }
    made = api.post(REGISTRY, "/v1/packages", package, key="seed:package")
    body = {"issuance_id": issuance["issuance_id"], "quantity_kg": 50 * TONNE}
    api.post(DEPOT, f"/v1/packages/{made['package_id']}/deposits", body, key="seed:package:deposit")
    listing = {
        "asset": asset,
        "quantity_kg": 30 * TONNE,
        "price_fen_per_tonne": price_fen,
        "expires_at": (started_at + timedelta(days=30)).isoformat(),
    }
    listed = api.post(DEPOT, "/v1/listings", listing, key="seed:listing")
    auction = {
        "asset": asset,
        "quantity_kg": 40 * TONNE,
        "format": "english",
        "reserve_fen_per_tonne": price_fen - 200,
        "start_fen_per_tonne": price_fen - 500,
        "increment_fen_per_tonne": 20,
        "opens_at": started_at.isoformat(),
        "closes_at": (started_at + timedelta(days=20)).isoformat(),
    }
    opened = api.post(DEPOT, "/v1/auctions", auction, key="seed:auction")
    path = f"/v1/auctions/{opened['auction_id']}/bids"
    api.post("buyer-biobay", path, {"price_fen_per_tonne": price_fen - 500}, key="seed:auction:bid")
    purpose = {"beneficiary": HOTEL, "purpose": f"{started_at.year - 1} 年度碳中和(沙盒)"}
    taken = {"quantity_kg": 12 * TONNE, "retire_for": purpose}
    bought = api.post(HOTEL, f"/v1/listings/{listed['listing_id']}/purchases", taken, key="seed:listing:purchase")
    _certify(api, started_at.year - 1, bought["certificate"]["certificate_number"])


def _certify(api: ApiClient, year: int, retirement: str) -> None:
    claim: dict[str, Any] = {
        "subject": f"金鸡湖酒店 {year} 年会议中心(沙盒)",
        "boundary": "会议中心用电、采暖与接驳车(数据为生成)",
        "starts_at": f"{year - 1}-12-31T16:00:00Z",
        "ends_at": f"{year}-12-31T16:00:00Z",
        "footprint": [
            {"scope": 1, "source": "天然气", "emitted_kg": 4_200, "evidence": "generated"},
            {"scope": 2, "source": "外购电力", "emitted_kg": 10_300, "evidence": "generated"},
        ],
        "reductions": [{"measure": "LED", "reduced_kg": 2_500, "evidence": "generated"}],
    }
    drafted = api.post(HOTEL, "/v1/neutrality-claims", claim, key="seed:neutrality")
    path = f"/v1/neutrality-claims/{drafted['claim_id']}"
    body = {"certificate_number": retirement, "quantity_kg": 12 * TONNE}
    api.post(HOTEL, f"{path}/matches", body, key="seed:neutrality:match")
    api.post(CERTIFIER, f"{path}/certificate", None, key="seed:neutrality:certificate")
