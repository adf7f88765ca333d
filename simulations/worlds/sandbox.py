"""The sandbox's world, brought in over the public API as any participant would: no table is written behind its back.

Every command carries a fixed idempotency key and times derived from the day the sandbox was founded, so an interrupted
seeding is simply run again. Plants are generated with pvlib for Suzhou (and, where the shared research file is at hand,
two reference roofs are read from it); prices are a seeded geometric Brownian motion; pairing a firm with a credit
record is synthetic. All of it is called sandbox in what it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from federated.consent.document import as_document
from federated.consent.record import ConsentRecord, DataScope, Purpose
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.research_files import import_half_hourly_kw
from simulations.worlds.api_client import ApiClient
from simulations.worlds.names import BANKS, EXCHANGE, GRIDS, REGISTRY, VERIFIER
from simulations.worlds.order_book import open_order_book
from simulations.worlds.other_projects import seed_other_projects
from simulations.worlds.plants import LATITUDE_DEG, LONGITUDE_DEG, generate_hourly
from simulations.worlds.trading_floor import open_trading_floor
from simulations.worlds.wallet import Wallet

PRODUCT = "phcer_pledge_loan"
PHCER = "PHCER"
ANCHOR_FEN = 3_000  # 30 CNY/t, the published price of a Suzhou sale
ANNUAL_VOLATILITY = 0.42
CANDIDATES = 24  # customers a bank asks about before it has two firms to lend to
RESEARCH_FILE = "pv_simulated_42_households_halfhourly.csv.gz"

DEVELOPERS = (
    ("dev-loufeng", "娄葑精密制造", "Loufeng Precision"),
    ("dev-dushu", "独墅湖数据中心", "Dushu Lake Data Centre"),
    ("dev-weiting", "唯亭物流", "Weiting Logistics"),
    ("dev-xietang", "斜塘纺织", "Xietang Textile"),
    ("dev-shengpu", "胜浦电子", "Shengpu Electronics"),
    ("dev-yangcheng", "阳澄湖生态农场", "Yangcheng Lake Farm"),
)
BUYERS = (
    ("buyer-jinji-hotel", "金鸡湖酒店", "Jinji Lake Hotel"),
    ("buyer-biobay", "生物纳米园", "BioBAY Campus"),
)


@dataclass(frozen=True, slots=True)
class Roof:
    """One plant of the sandbox."""

    code: str
    owner: str
    name: str
    capacity_w: int
    grid: str
    latitude_deg: float
    longitude_deg: float
    batch: ReadingBatch


@dataclass(frozen=True, slots=True)
class Firm:
    """A developer and the bank that knows it as a customer; `inquiry_id` is the score that supports its loans."""

    developer: str
    bank: str
    inquiry_id: str


def seed_sandbox(
    api: ApiClient, started_at: datetime, energy: Path | None, wallet: Wallet, say: Callable[[str], None]
) -> None:
    """Bring the whole world in; customers sign with the sandbox's `wallet`.

    Raises `Refused` where the API refuses, which a second run then continues from.
    """
    started_at = started_at.astimezone(UTC).replace(microsecond=0)
    say("deposits and a price history")
    _deposits(api, BANKS, 2_000_000_000)
    _prices(api, started_at)
    say("approval of the credit models")
    _appoint_models(api)
    say(f"{len(DEVELOPERS)} firms: consents and scores at {len(BANKS)} banks")
    firms = _firms(api, started_at, wallet)
    _admit(api, BUYERS, "buyer")
    _deposits(api, [buyer for buyer, *_ in BUYERS], 30_000_000)
    roofs = _roofs(started_at.year - 1, energy)
    issued: dict[str, list[Any]] = {}
    for number, roof in enumerate(roofs, 1):
        say(f"plant {number} of {len(roofs)}: {roof.name}, {len(roof.batch):,} readings")
        # The last two stay on the verifier's and the registry's work lists.
        issuance = _credits(api, roof, last_step=min(2, len(roofs) - number))
        if issuance is not None:
            issued.setdefault(roof.owner, []).append(issuance)
    say("a charging depot whose meter signs, and a wetland under verification")
    seed_other_projects(api, started_at)
    say("sales, retirements, pledges and loans")
    _trade(api, issued, started_at)
    _lend(api, firms, issued)
    say("an order book")
    open_order_book(api, EXCHANGE, issued, [buyer for buyer, *_ in BUYERS], ANCHOR_FEN)
    say("a package, a listing, an auction and a certificate of carbon neutrality")
    open_trading_floor(api, started_at, ANCHOR_FEN)


def _deposits(api: ApiClient, organisations: list[str] | tuple[str, ...], amount_fen: int) -> None:
    for organisation_id in organisations:
        body = {"organisation_id": organisation_id, "amount_fen": amount_fen, "reference": f"opening {organisation_id}"}
        api.post(EXCHANGE, "/v1/deposits", body, key=f"seed:deposit:{organisation_id}")


def _appoint_models(api: ApiClient) -> None:
    """What the operator trained scores only once a bank that took part has approved and appointed it.

    The first version of a run has exact reasons and becomes champion, the next its challenger.
    """
    bank = BANKS[0]
    waiting = [each["version"] for each in api.get(bank, "/v1/models") if not each["champion"]]
    roles = [] if any(each["champion"] for each in api.get(bank, "/v1/models")) else ["champion"]
    note = "sandbox: held-out figures and model card looked at"
    for version, role in zip(waiting, [*roles, "challenger"], strict=False):
        path = f"/v1/models/{version}"
        api.post(bank, f"{path}/approval", {"decision": "approve", "note": note}, key=f"seed:approve:{version}")
        api.post(bank, f"{path}/appointment", {"role": role}, key=f"seed:appoint:{version}")


def _admit(api: ApiClient, members: tuple[tuple[str, str, str], ...], kind: str, subjects: dict[str, str] = {}) -> None:  # noqa: B006
    for organisation_id, name_zh, name_en in members:
        body: dict[str, Any] = {
            "organisation_id": organisation_id,
            "kind": kind,
            "name_zh": name_zh,
            "name_en": name_en,
            "subject_id": subjects.get(organisation_id),
        }
        api.post(REGISTRY, "/v1/organisations", body, key=f"seed:admit:{organisation_id}")
        if organisation_id not in api.keys:
            issued = api.post(REGISTRY, f"/v1/organisations/{organisation_id}/keys", {"label": "sandbox"})
            api.keys[organisation_id] = issued["api_key"]


def _prices(api: ApiClient, started_at: datetime) -> None:
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
        api.post(EXCHANGE, "/v1/prices", body, key=f"seed:price:{day.date()}")


def _firms(api: ApiClient, started_at: datetime, wallet: Wallet) -> list[Firm]:
    """Each bank asks about some customers under consent; its two best-scored ones are the firms that own plants."""
    firms: list[Firm] = []
    subjects: dict[str, str] = {}
    developers = iter(developer for developer, *_ in DEVELOPERS)
    for bank in BANKS:
        known = {answer["subject_id"]: answer for answer in api.get(bank, "/v1/inquiries", limit=500)}
        answers = []
        for customer in api.get(bank, "/v1/customers", limit=CANDIDATES):
            subject_id = customer["subject_id"]
            consent = _signed_consent(wallet, bank, subject_id, started_at.year)
            recorded = api.post(bank, "/v1/consents", consent, key=f"seed:consent:{subject_id}")
            inquiry = {
                "subject_id": subject_id,
                "consent_id": recorded["consent_id"],
                "purpose": "credit_application",
            }
            answers.append(known.get(subject_id) or api.post(bank, "/v1/scores", inquiry))
        best = sorted(answers, key=lambda answer: (-answer["score"], answer["subject_id"]))[:2]
        for answer in best:
            developer = next(developers)
            subjects[developer] = answer["subject_id"]
            firms.append(Firm(developer, bank, answer["inquiry_id"]))
    _admit(api, DEVELOPERS, "developer", subjects)
    return firms


def _signed_consent(wallet: Wallet, bank: str, subject_id: str, year: int) -> dict[str, Any]:
    """What a customer hands to its bank: the same document whenever the seeding is run again."""
    return as_document(
        wallet.sign(
            ConsentRecord(
                consent_id=f"con_seed_{subject_id}",
                subject_id=subject_id,
                bank_id=bank,
                purposes=frozenset({Purpose.CREDIT_APPLICATION, Purpose.LOAN_REVIEW}),
                scope=frozenset(DataScope),
                valid_from=datetime(year, 1, 1, tzinfo=UTC),
                valid_until=datetime(year + 2, 1, 1, tzinfo=UTC),
            )
        )
    )


def _roofs(year: int, energy: Path | None) -> list[Roof]:
    """Two plants a developer for the whole of `year`, and two reference roofs where the research file is at hand."""
    capacities_kw = (5_600, 2_400, 4_200, 1_800, 3_600, 900, 2_900, 1_200, 2_100, 700, 1_500, 480)
    roofs = []
    for number, capacity_kw in enumerate(capacities_kw):
        owner, _, name = DEVELOPERS[number % len(DEVELOPERS)]
        code = f"SIP{number + 1:03d}"
        output = generate_hourly(capacity_kw * 1000, f"{year}-01-01", f"{year + 1}-01-01", seed=1000 + number)
        batch = ReadingBatch(f"M-{code}", 60, output.starts, output.generation_wh)
        label = f"{name} roof {number // len(DEVELOPERS) + 1} (generated)"
        grid = GRIDS[number % len(GRIDS)]
        roofs.append(Roof(code, owner, label, capacity_kw * 1000, grid, LATITUDE_DEG, LONGITUDE_DEG, batch))
    path = energy / RESEARCH_FILE if energy is not None else None
    if path is not None and path.exists():
        roofs = [*_reference_roofs(path, year), *roofs]
    return roofs


def _reference_roofs(path: Path, year: int) -> list[Roof]:
    """Two roofs of the shared research file (Scotland, March to May), a hundredfold, on the dates of `year`."""
    first = datetime(year, 3, 1, tzinfo=UTC)
    roofs = []
    for number, column in enumerate(("PV001", "PV002")):
        code = f"REF{number + 1:03d}"
        batch = import_half_hourly_kw(path, f"M-{code}", column, first, scale=100).batch
        capacity_w = int(np.ceil(batch.generation_wh.max() * 2 / 1000) * 1000)
        owner, _, _ = DEVELOPERS[number]
        label = f"Reference roof {column} x100 (shared research file)"
        roofs.append(Roof(code, owner, label, capacity_w, GRIDS[0], 55.86, -4.25, batch))
    return roofs


def _credits(api: ApiClient, roof: Roof, *, last_step: int) -> Any:
    """Register, load, claim and, as far as `last_step` says (1 verify, 2 issue), verify and issue one plant's year."""
    batch = roof.batch
    start, end = _span(batch)
    project = api.post(
        roof.owner,
        "/v1/projects",
        {
            "code": roof.code,
            "name": roof.name,
            "capacity_w": roof.capacity_w,
            "grid_connected_on": date(start.year - 2, 6, 1).isoformat(),
            "crediting_from": datetime(start.year - 1, 1, 1, tzinfo=UTC).isoformat(),
            "crediting_until": datetime(start.year + 9, 1, 1, tzinfo=UTC).isoformat(),
            "region": "SIP",
            "latitude_deg": roof.latitude_deg,
            "longitude_deg": roof.longitude_deg,
            "meters": [
                {
                    "meter_id": batch.meter_id,
                    "measured_by": roof.grid,
                    "interval_minutes": batch.interval_minutes,
                }
            ],
            "owns_the_reduction": True,
            "not_registered_elsewhere": True,
            "outside_ets_boundary": True,
        },
        key=f"seed:project:{roof.code}",
    )
    path = f"/v1/meters/{batch.meter_id}/readings.csv?interval_minutes={batch.interval_minutes}"
    api.post_csv(roof.grid, path, _csv(batch), key=f"seed:readings:{roof.code}")
    claim = api.post(
        roof.owner,
        "/v1/monitoring-periods",
        {"project_id": project["project_id"], "starts_at": start.isoformat(), "ends_at": end.isoformat()},
        key=f"seed:period:{roof.code}",
    )
    if last_step < 1:
        return None
    statement = {
        "opinion": "positive",
        "commitment": claim["commitment"],
        "generation_wh": claim["generation_wh"],
        "reduction_kg": claim["reduction_kg"],
        "remarks": "readings, totals and factor re-calculated",
    }
    period_id = claim["monitoring_period_id"]
    api.post(VERIFIER, f"/v1/monitoring-periods/{period_id}/statement", statement, key=f"seed:verify:{roof.code}")
    if last_step < 2:
        return None
    return api.post(REGISTRY, "/v1/issuances", {"monitoring_period_id": period_id}, key=f"seed:issue:{roof.code}")


def _span(batch: ReadingBatch) -> tuple[datetime, datetime]:
    first, last = (int(batch.starts[place].astype(np.int64)) for place in (0, -1))
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC) + timedelta(
        minutes=batch.interval_minutes
    )


def _csv(batch: ReadingBatch) -> str:
    starts = np.datetime_as_string(batch.starts)
    lines = [
        f"{start}Z,{wh // 1000}.{wh % 1000:03d}" for start, wh in zip(starts, batch.generation_wh.tolist(), strict=True)
    ]
    return "interval_start,generation_kwh\n" + "\n".join(lines) + "\n"


def _trade(api: ApiClient, issued: dict[str, list[Any]], started_at: datetime) -> None:
    """Three sales settled, one offer left open, and each buyer retires part of what it bought."""
    expires = (started_at + timedelta(days=14)).isoformat()
    terms = (
        ("dev-loufeng", BUYERS[0][0], 300, ANCHOR_FEN, True),
        ("dev-dushu", BUYERS[1][0], 120, ANCHOR_FEN + 50, True),
        ("dev-weiting", BUYERS[1][0], 200, ANCHOR_FEN - 40, True),
        ("dev-yangcheng", BUYERS[0][0], 60, ANCHOR_FEN + 20, False),
    )
    for seller, buyer, tonnes, price, settle in terms:
        largest = max(issued[seller], key=lambda issuance: int(issuance["quantity_kg"]))
        offer = api.post(
            seller,
            "/v1/offers",
            {
                "buyer_id": buyer,
                "issuance_id": largest["issuance_id"],
                "quantity_kg": tonnes * 1000,
                "price_fen_per_tonne": price,
                "expires_at": expires,
            },
            key=f"seed:offer:{seller}",
        )
        if not settle:
            continue
        api.post(buyer, f"/v1/offers/{offer['offer_id']}/acceptance", key=f"seed:accept:{seller}")
        retirement = {
            "issuance_id": largest["issuance_id"],
            "quantity_kg": tonnes * 400,
            "beneficiary": buyer,
            "purpose": f"operations in {started_at.year - 1} (sandbox)",
        }
        api.post(buyer, "/v1/retirements", retirement, key=f"seed:retire:{seller}")


def _lend(api: ApiClient, firms: list[Firm], issued: dict[str, list[Any]]) -> None:
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
