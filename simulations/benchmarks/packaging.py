"""Many plants in one package: custody, value and look-through set-based, beside the same deposit one by one.

The plants are generated and their credits are put on the books first, unmeasured, in one balanced issuance entry with a
serial block each. Measured are the package's creation with everything deposited, its valuation, and every serial number
read out of it. One by one is measured on a sample of another holder's plants in the same books.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Table, insert, select

from financing.base.context import Actor, Context
from financing.base.parameters import load_parameters
from financing.base.quantities import Carbon, Price
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.accounts import AccountKind, Asset
from financing.ledger.chain import SealedLine
from financing.ledger.entries import EntryKind
from financing.ledger.organisations import Organisation
from financing.ledger.store import account, posting
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import PriceObservation
from financing.registry.credits.serial_store import block_t
from financing.registry.credits.store import issuance_t
from financing.registry.packages.commands import MakePackage, PackageCriteria, make_package, put_everything_in, put_in
from financing.registry.packages.looking import look_through
from financing.registry.projects.store import project_t
from financing.registry.verification.period_store import period_t
from financing.valuation.packages import package_value

AT = datetime(2026, 1, 5, tzinfo=UTC)
REGISTRY, OWNER, OTHER = "registry-sip", "dev-many", "dev-sample"
CHUNK = 50_000
START, END = datetime(2024, 12, 31, 16, tzinfo=UTC), datetime(2025, 12, 31, 16, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PackageSpeed:
    """Seconds of each step for `plants` plants, peak memory of the process, and one by one per plant."""

    plants: int
    population: str
    tonnes: int
    seed_s: float
    create_s: float
    value_s: float
    look_through_s: float
    total_s: float
    serials: int
    value_fen: int
    one_by_one_plants: int
    one_by_one_us_per_plant: float
    set_based_us_per_plant: float
    one_by_one_over_set_based: float
    peak_memory_mib: float


def measure_packaging(plants: int, sample: int = 300, *, seed: int = 2024) -> PackageSpeed:
    """Run both on a fresh SQLite file (WAL, synchronous=FULL)."""
    with tempfile.TemporaryDirectory() as folder:
        engine = _books(Path(folder))
        try:
            return _measure(engine, plants, sample, seed)
        finally:
            engine.dispose()


def _measure(engine: Engine, plants: int, sample: int, seed: int) -> PackageSpeed:
    started = time.perf_counter()
    tonnes = np.random.default_rng(seed).integers(2, 12, plants + sample)
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        _issue(connection, OWNER, tonnes[:plants], 0)
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        _issue(connection, OTHER, tonnes[plants:], plants)
        UnitOfWork(connection).prices.add_price(
            PriceObservation("PHCER", Price(3_000), AT, "generated"), recorded_by=REGISTRY, at=AT
        )
    seeded = time.perf_counter() - started
    writer = Writer(engine, UnitOfWork)
    command = MakePackage(
        code="SIP-PV-2025", name="Suzhou rooftops 2025", criteria=PackageCriteria(methodologies=["PV"])
    )
    started = time.perf_counter()
    package = writer.execute(lambda unit: make_package(unit, _context(REGISTRY, "registry"), command))
    packed = writer.execute(lambda unit: put_everything_in(unit, _context(OWNER, "developer"), package.package_id))
    created = time.perf_counter() - started
    with engine.connect() as connection:
        unit = UnitOfWork(connection)
        started = time.perf_counter()
        worth = package_value(unit, load_parameters(), package, unit.packages.breakdown(package), AT)
        valued = time.perf_counter() - started
        started = time.perf_counter()
        through = look_through(unit, package.package_id)
        looked = time.perf_counter() - started
    assert worth is not None
    assert packed.issuances == plants == len(through)
    started = time.perf_counter()
    for number in range(sample):
        issuance_id, quantity = f"iss_{plants + number}", Carbon(int(tonnes[plants + number]) * 1000)
        writer.execute(
            lambda unit, i=issuance_id, q=quantity: put_in(  # type: ignore[misc]
                unit, _context(OTHER, "developer"), package.package_id, i, q
            )
        )
    single = (time.perf_counter() - started) / sample
    writer.close()
    return PackageSpeed(
        plants=plants,
        population="generated",
        tonnes=int(tonnes[:plants].sum()),
        seed_s=seeded,
        create_s=created,
        value_s=valued,
        look_through_s=looked,
        total_s=created + valued + looked,
        serials=sum(len(serials) for _, serials in through),
        value_fen=worth.fen,
        one_by_one_plants=sample,
        one_by_one_us_per_plant=single * 1e6,
        set_based_us_per_plant=created / plants * 1e6,
        one_by_one_over_set_based=single / (created / plants),
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def _context(actor: str, kind: str) -> Context:
    return Context(Actor(actor, kind), AT, lambda prefix: f"{prefix}_bench", load_parameters())


def _books(folder: Path) -> Engine:
    url = f"sqlite:///{folder / 'books.db'}"
    subprocess.run(
        [sys.executable, "-m", "credit_api", "migrate", "--database-url", url], check=True, capture_output=True
    )
    engine = open_engine(url)
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        organisations = UnitOfWork(connection).organisations
        for name, kind in ((REGISTRY, "registry"), (OWNER, "developer"), (OTHER, "developer")):
            organisations.add(Organisation(name, kind, name, name), AT)
    return engine


def _issue(connection: Connection, owner: str, tonnes: np.ndarray[Any, np.dtype[np.int64]], first: int) -> None:
    """Generated plants with a year's credits each, as rows the schema's triggers accept: one entry for all of them."""
    kilograms = [int(each) * 1000 for each in tonnes]
    numbers = range(first, first + len(kilograms))
    record = {"location": {"region": "SIP"}}
    day = {"first_day": date(2025, 1, 1), "last_day": date(2025, 12, 31)}
    _fill(connection, project_t, (
        {
            "id": f"prj_{n}", "code": f"H{n:07d}", "owner_id": owner, "name": "generated", "methodology": "PV1",
            "capacity_w": 10_000, "record": record, "created_at": AT,
        }
        for n in numbers
    ))  # fmt: skip
    _fill(connection, period_t, (
        {
            "id": f"mon_{n}", "project_id": f"prj_{n}", "starts_at": START, "ends_at": END, "state": "issued",
            "generation_wh": 0, "reduction_kg": kg, "commitment": "generated", "record": {}, "submitted_at": AT,
        }
        for n, kg in zip(numbers, kilograms, strict=True)
    ))  # fmt: skip
    _fill(connection, issuance_t, (
        {
            "id": f"iss_{n}", "registry_id": REGISTRY, "registry_code": "SIP", "period_id": f"mon_{n}",
            "transfer_id": None, "project_id": f"prj_{n}", "owner_id": owner, "asset_class": "PHCER",
            "methodology_tag": "PV1", "project_code": f"H{n:07d}", "vintage": 2025, "quantity_kg": kg,
            "issued_at": AT, **day,
        }
        for n, kg in zip(numbers, kilograms, strict=True)
    ))  # fmt: skip
    empty = {"reference": "", "posted": 0, "held": 0, "posting_count": 0}
    _fill(connection, account, (
        {
            "owner_id": holder, "kind": kind.value, "asset": Asset.credits(f"iss_{n}").code, "floor": kind.floor,
            "ceiling": kind.ceiling, **empty,
        }
        for n in numbers
        for holder, kind in ((REGISTRY, AccountKind.ISSUED), (owner, AccountKind.HOLDING))
    ))  # fmt: skip
    _book(connection, numbers, kilograms)


def _book(connection: Connection, numbers: range, kilograms: list[int]) -> None:
    ledger = UnitOfWork(connection).ledger
    head = ledger.head()
    entry_id = head.entry_id + 1
    # Accounts were opened in pairs, issued before holding, and nothing was posted to them.
    ids = connection.execute(select(account.c.id).where(account.c.posting_count == 0).order_by(account.c.id))
    pairs = ids.scalars().all()
    lines = [
        SealedLine(account_id, 1, amount, amount)
        for place, kg in enumerate(kilograms)
        for account_id, amount in ((pairs[2 * place], -kg), (pairs[2 * place + 1], kg))
    ]
    _fill(connection, posting, (
        {
            "entry_id": entry_id, "account_id": line.account_id, "account_seq": 1, "amount": line.amount,
            "balance_after": line.balance_after,
        }
        for line in lines
    ))  # fmt: skip
    ledger.seal(head, EntryKind.ISSUANCE, "generated plants", lines, at=AT, actor_id=REGISTRY)
    _fill(connection, block_t, (
        {
            "issuance_id": f"iss_{n}", "account_id": pairs[2 * place + 1], "first_kg": 1, "last_kg": kg,
            "history": [], "since_entry_id": entry_id, "until_entry_id": None,
        }
        for place, (n, kg) in enumerate(zip(numbers, kilograms, strict=True))
    ))  # fmt: skip


def _fill(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            connection.execute(insert(table), chunk)
            chunk = []
    if chunk:
        connection.execute(insert(table), chunk)
