"""offers to a named buyer become listings, and what is agreed over the counter is kept in the order of time

Every offer is carried with its id, which entries and holds refer to. What was settled is sold, and stands on the record
of trades like any other sale. An offer that is still open was made on terms without a fee: it is not silently made
anew on other ones, so it is withdrawn (expired, if it has lapsed) and the credits that it held are free again.

Listings, deals, requests and quotes had their moment in their record only, so that no list of them could be read newest
first by pages.

Revision ID: 0010
Revises: 0009
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
OFFER = sa.table(
    "offer",
    *(sa.column(name) for name in ("id", "seller_id", "buyer_id", "issuance_id", "quantity_kg", "fen_per_tonne")),
    *(sa.column(name) for name in ("state", "pledge_id", "entry_id")),
    *(sa.column(name, MOMENT) for name in ("offered_at", "expires_at")),
)
HOLD = sa.table("hold", sa.column("reference"), sa.column("state"), sa.column("closed_at", MOMENT))
LISTING = sa.table(
    "listing",
    *(sa.column(name) for name in ("id", "seller_id", "buyer_id", "pledge_id", "asset", "quantity_kg", "left_kg")),
    *(sa.column("state"), sa.column("record", sa.JSON()), sa.column("listed_at", MOMENT)),
    sa.column("expires_at", MOMENT),
)
MADE_AT = {"listing": "listed_at", "deal": "proposed_at", "quote_request": "requested_at", "quote": "quoted_at"}
ENTRY = sa.table("entry", sa.column("id"), sa.column("at", MOMENT))
TRADE = sa.table(
    "otc_trade",
    *(sa.column(name) for name in ("entry_id", "asset", "seller_id", "buyer_id", "quantity_kg", "fen_per_tonne")),
    *(sa.column("channel"), sa.column("at", MOMENT)),
)


def upgrade() -> None:
    bind = op.get_bind()
    with op.batch_alter_table("listing", schema=None) as batch_op:
        batch_op.add_column(sa.Column("buyer_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("pledge_id", sa.String(), nullable=True))
        batch_op.add_column(moment("listed_at"))
        batch_op.create_foreign_key("listing_buyer", "organisation", ["buyer_id"], ["id"])
        batch_op.create_foreign_key("listing_pledge", "pledge", ["pledge_id"], ["id"])
        batch_op.create_check_constraint("listing_parties", "buyer_id <> seller_id")
        batch_op.create_index(batch_op.f("ix_listing_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_listing_pledge_id"), ["pledge_id"], unique=False)
    for table, name in MADE_AT.items():
        if table != "listing":
            op.add_column(table, moment(name))
        _fill(bind, table, name)
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)
    at = datetime.now(UTC)
    for row in bind.execute(sa.select(OFFER).order_by(OFFER.c.offered_at, OFFER.c.id)).mappings().all():
        _carry(bind, dict(row), at)
    op.drop_table("offer")


def moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, MOMENT, nullable=False, server_default="1970-01-01 00:00:00.000000")


def _fill(bind: sa.Connection, table: str, name: str) -> None:
    """A row's moment from its record, which is where it stood alone."""
    rows = sa.table(table, sa.column("id"), sa.column("record", sa.JSON()), sa.column(name, MOMENT))
    for row in bind.execute(sa.select(rows.c.id, rows.c.record)).all():
        at = datetime.fromisoformat(row.record[name])
        bind.execute(sa.update(rows).where(rows.c.id == row.id).values({name: at}))


def _carry(bind: sa.Connection, offer: dict[str, Any], at: datetime) -> None:
    """One offer as a listing, its hold closed if it still has one, its sale on the record of trades."""
    for name in ("offered_at", "expires_at"):
        offer[name] = _utc(offer[name])
    state = ending(offer["state"], lapsed=offer["expires_at"] <= at)
    if offer["state"] == "open":
        held = sa.and_(HOLD.c.reference == offer["id"], HOLD.c.state == "pending")
        ends_as = "voided" if state == "withdrawn" else "expired"
        bind.execute(sa.update(HOLD).where(held).values(state=ends_as, closed_at=at))
    listing = as_listing(offer, state)
    bind.execute(sa.insert(LISTING).values(**listing))
    if state == "sold":
        _record_trade(bind, offer, listing["asset"])


def _record_trade(bind: sa.Connection, offer: dict[str, Any], asset: str) -> None:
    entry_id = offer["entry_id"]
    if bind.execute(sa.select(TRADE.c.entry_id).where(TRADE.c.entry_id == entry_id)).first():
        return
    shared = {name: offer[name] for name in ("entry_id", "seller_id", "buyer_id", "quantity_kg", "fen_per_tonne")}
    settled_at = bind.execute(sa.select(ENTRY.c.at).where(ENTRY.c.id == entry_id)).scalar_one()
    bind.execute(sa.insert(TRADE).values(**shared, asset=asset, channel="listing", at=settled_at))


def ending(state: str, *, lapsed: bool) -> str:
    """How an offer's state reads as a listing's that is over."""
    if state == "open":
        return "expired" if lapsed else "withdrawn"
    return "sold" if state == "accepted" else state


def as_listing(offer: dict[str, Any], state: str) -> dict[str, Any]:
    """An offer's row as a listing's row, its record as the domain writes it."""
    asset = f"PHCER:{offer['issuance_id']}"
    left = 0 if state == "sold" else offer["quantity_kg"]
    record = {
        "listing_id": offer["id"],
        "seller": offer["seller_id"],
        "asset": asset,
        "quantity": {"amount": offer["quantity_kg"]},
        "left": {"amount": left},
        "price": {"amount": offer["fen_per_tonne"]},
        "listed_at": offer["offered_at"].isoformat().replace("+00:00", "Z"),
        "expires_at": offer["expires_at"].isoformat().replace("+00:00", "Z"),
        "state": state,
        "buyer": offer["buyer_id"],
        "pledge_id": offer["pledge_id"],
    }
    kept = {name: offer[name] for name in ("id", "seller_id", "buyer_id", "pledge_id", "quantity_kg", "expires_at")}
    kept |= {"listed_at": offer["offered_at"], "asset": asset, "left_kg": left, "state": state}
    return kept | {"record": record}


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def downgrade() -> None:
    """An addressed listing in escrow has no place in a table of offers that hold."""
    raise RuntimeError("this migration cannot be undone; restore a copy from before it instead")
