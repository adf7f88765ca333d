"""Books with offers to named buyers, as they stood before migration 0010: every one is a listing after it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import inspect, select, text

from credit_api.app.database import migrate
from financing.base.quantities import Carbon, Money, Price
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.accounts import CNY, AccountKey, AccountKind, Asset, cash, holding
from financing.ledger.entries import EntryKind, balanced, pay, transfer
from financing.lending.unit import UnitOfWork
from financing.market.over_the_counter.deals import Listing
from financing.market.over_the_counter.store import listing_t

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
LATER = AT + timedelta(days=40_000)  # an open offer has not lapsed, whenever this test runs
ASSET = Asset.credits("iss")
KINDS = {"dev": "developer", "mill": "buyer", "bank": "bank", "x": "exchange", "r": "registry", "v": "verifier"}
# id, seller, pledge, state before, state after, expires
OFFERS = (
    ("off_accepted", "dev", None, "accepted", "sold", AT + timedelta(days=1)),
    ("off_known", "dev", None, "accepted", "sold", AT + timedelta(days=1)),
    ("off_disposed", "bank", "plg", "accepted", "sold", AT + timedelta(days=1)),
    ("off_withdrawn", "dev", None, "withdrawn", "withdrawn", LATER),
    ("off_expired", "dev", None, "expired", "expired", AT + timedelta(hours=1)),
    ("off_open", "dev", None, "open", "withdrawn", LATER),
    ("off_lapsed", "dev", None, "open", "expired", AT + timedelta(hours=1)),
    ("off_collateral", "bank", "plg", "open", "withdrawn", LATER),
)
HOLDS = {"off_withdrawn": "voided", "off_expired": "expired", "off_open": None, "off_lapsed": None}
LISTED = {
    "listing_id": "lst_old",
    "seller": "dev",
    "asset": ASSET.code,
    "quantity": {"amount": 5_000},
    "left": {"amount": 4_000},
    "price": {"amount": 3_100},
    "listed_at": "2026-11-22T08:00:00Z",
    "expires_at": "2026-11-29T08:00:00Z",
    "state": "open",
}
ROWS = (
    "INSERT INTO project (id, code, owner_id, name, methodology, record, created_at) VALUES "
    "('prj', 'P', 'dev', 'roof', 'PV1', '{}', :at)",
    "INSERT INTO monitoring_period (id, project_id, starts_at, ends_at, state, generation_wh, reduction_kg, "
    "commitment, record, submitted_at) VALUES ('mon', 'prj', :at, :later, 'issued', 1, 100000, :hash, '{}', :at)",
    "INSERT INTO issuance (id, period_id, project_id, owner_id, asset_class, methodology_tag, project_code, vintage, "
    "first_day, last_day, quantity_kg, issued_at, registry_id, registry_code) VALUES ('iss', 'mon', 'prj', 'dev', "
    "'PHCER', 'PV1', 'P', 2026, '2026-01-01', '2026-01-31', 100000, :at, 'r', 'SIP')",
    "INSERT INTO pledge (id, pledgor_id, pledgee_id, issuance_id, asset_class, quantity_kg, released_kg, disposed_kg, "
    "state, reserved_at, expires_at) VALUES ('plg', 'dev', 'bank', 'iss', 'PHCER', 9000, 0, 0, 'void', :at, :later)",
    "INSERT INTO listing (id, seller_id, asset, quantity_kg, left_kg, state, expires_at, record) VALUES "
    "('lst_old', 'dev', :asset, 5000, 4000, 'open', :later, :listed)",
)


@pytest.fixture
def books(kind, tmp_path, databases):
    """A database of the revision before, with an offer in every state and its holds as they were then."""
    with databases.copied(kind, tmp_path / "books.db", _before) as address:
        engine = open_engine(address)
        yield engine
        engine.dispose()


def _before(address):
    engine = open_engine(address)
    migrate(engine, "0009")
    naive = engine.dialect.name == "sqlite"

    def stored(moment):
        return moment.replace(tzinfo=None) if naive else moment

    writer = Writer(engine, UnitOfWork)
    writer.execute(lambda unit: _found(unit, stored))
    writer.execute(lambda unit: _offer(unit, stored))
    writer.close()
    engine.dispose()


def _found(unit, stored):
    for name, kind in KINDS.items():
        statement = (
            "INSERT INTO organisation (id, kind, name_zh, name_en, created_at) VALUES (:id, :kind, :id, :id, :at)"
        )
        unit.connection.execute(text(statement), {"id": name, "kind": kind, "at": stored(AT)})
    values = {"at": stored(AT), "later": stored(LATER), "hash": "c" * 64}
    for row in ROWS:
        given = values | {"asset": ASSET.code, "listed": json.dumps(LISTED)}
        unit.connection.execute(text(row), {name: value for name, value in given.items() if f":{name}" in row})
    funding = transfer(AccountKey("x", AccountKind.SETTLEMENT, CNY), cash("mill"), Money(1_000_000))
    unit.ledger.post(balanced(EntryKind.FUNDING, "f", funding), at=AT, actor_id="x")
    minted = transfer(AccountKey("r", AccountKind.ISSUED, ASSET), holding("dev", ASSET), Carbon(100_000))
    unit.ledger.post(balanced(EntryKind.ISSUANCE, "iss", minted), at=AT, actor_id="r")


def _offer(unit, stored):
    for offer_id, seller, pledge_id, state, _, expires_at in OFFERS:
        entry_id = None
        if state == "accepted":
            goods = transfer(holding("dev", ASSET), holding("mill", ASSET), Carbon(2_000))
            settled = balanced(EntryKind.TRADE, offer_id, [*goods, *pay("mill", seller, Money(6_000))])
            entry_id = unit.ledger.post(settled, at=AT + timedelta(minutes=5), actor_id="mill").entry_id
        if offer_id in HOLDS:
            about = {"reference": offer_id, "at": AT, "expires_at": expires_at}
            unit.ledger.reserve(f"hld_{offer_id}", holding("dev", ASSET), 2_000, **about)
        if HOLDS.get(offer_id):
            unit.ledger.close_hold(offer_id, HOLDS[offer_id], at=AT)
        unit.connection.execute(
            text(
                "INSERT INTO offer (id, seller_id, buyer_id, issuance_id, quantity_kg, fen_per_tonne, state, "
                "offered_at, expires_at, pledge_id, entry_id) VALUES (:id, :seller, 'mill', 'iss', 2000, 3000, :state, "
                ":at, :expires, :pledge, :entry)"
            ),
            {"id": offer_id, "seller": seller, "state": state, "at": stored(AT), "expires": stored(expires_at),
             "pledge": pledge_id, "entry": entry_id},
        )  # fmt: skip
        if offer_id == "off_known":
            unit.connection.execute(
                text("INSERT INTO otc_trade VALUES (:entry, :asset, 'dev', 'mill', 2000, 3000, 'deal', :at)"),
                {"entry": entry_id, "asset": ASSET.code, "at": stored(AT)},
            )


def test_every_offer_is_read_as_the_listing_it_became(books):
    migrate(books)
    with books.connect() as connection:
        unit = UnitOfWork(connection)
        found = {each.listing_id: each for each in unit.otc.listings_of("mill")}
        sold_from_pledge = unit.otc.listings_of_pledges(["plg"])
        before = unit.otc.listing("lst_old")
        moments = connection.execute(select(listing_t.c.id, listing_t.c.listed_at)).all()
        assert [(key, unit.otc.listing(key).listed_at) for key, _ in moments] == [tuple(row) for row in moments]
    for offer_id, seller, pledge_id, _, state, expires_at in OFFERS:
        left = Carbon(0) if state == "sold" else Carbon(2_000)
        assert found.pop(offer_id) == Listing(
            offer_id, seller, ASSET.code, Carbon(2_000), left, Price(3_000), AT, expires_at, state, "mill", pledge_id
        )
    assert found == {}
    assert {each.listing_id for each in sold_from_pledge} == {"off_disposed", "off_collateral"}
    # A listing from before is for anyone, as it was.
    assert (before.buyer, before.pledge_id, before.left) == (None, None, Carbon(4_000))
    assert not inspect(books).has_table("offer")


def test_what_open_offers_held_is_free_again_and_the_ledger_holds(books):
    with books.connect() as connection:
        unit = UnitOfWork(connection)
        head, held = unit.ledger.verify(), unit.ledger.balance(holding("dev", ASSET))
        assert (held.posted, held.available) == (94_000, 90_000)
    migrate(books)
    with books.connect() as connection:
        unit = UnitOfWork(connection)
        assert unit.ledger.verify() == head
        after = unit.ledger.balance(holding("dev", ASSET))
        assert (after.posted, after.available) == (94_000, 94_000)
        holds = connection.execute(text("SELECT reference, state, closed_at FROM hold")).all()
    assert {row.reference: row.state for row in holds} == {
        "off_withdrawn": "voided",
        "off_expired": "expired",
        "off_open": "voided",
        "off_lapsed": "expired",
    }
    assert all(row.closed_at is not None for row in holds)


def test_settled_offers_are_on_the_record_of_trades_once(books):
    migrate(books)
    with books.connect() as connection:
        trades = {each.seller + ":" + each.channel: each for each in UnitOfWork(connection).otc.trades()}
    assert sorted(trades) == ["bank:listing", "dev:deal", "dev:listing"]
    carried = trades["dev:listing"]
    assert (carried.asset, carried.buyer, carried.quantity, carried.price, carried.at) == (
        ASSET.code, "mill", Carbon(2_000), Price(3_000), AT + timedelta(minutes=5),
    )  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE listing SET state = 'open' WHERE id = 'off_open'",
        "UPDATE listing SET buyer_id = 'mill' WHERE id = 'lst_old'",
        "UPDATE listing SET pledge_id = 'plg' WHERE id = 'lst_old'",
        "UPDATE listing SET seller_id = 'mill' WHERE id = 'lst_old'",
        "UPDATE listing SET left_kg = 5000 WHERE id = 'lst_old'",
        "INSERT INTO listing (id, seller_id, asset, quantity_kg, left_kg, state, expires_at, record, buyer_id) "
        "SELECT 'lst_self', seller_id, asset, 1000, 1000, 'open', expires_at, record, seller_id FROM listing "
        "WHERE id = 'lst_old'",
        "DELETE FROM listing WHERE id = 'lst_old'",
    ],
)
def test_the_schema_still_keeps_listings(books, statement):
    migrate(books)
    allowed = "UPDATE listing SET left_kg = 3000 WHERE id = 'lst_old'"
    with books.execution_options(tanxin_writer=True).begin() as connection:
        connection.execute(text(allowed))
    with (
        pytest.raises(Exception, match=r"listing|CHECK|check"),
        books.execution_options(tanxin_writer=True).begin() as connection,
    ):
        connection.execute(text(statement))
