"""Posts balanced entries, keeps holds, derives balances, and audits the chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from financing.base.errors import (
    CreditsFrozen,
    CreditsPledged,
    InsufficientBalance,
    InvalidState,
    LedgerTampered,
    NotFound,
)
from financing.base.quantities import checked_int64
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store
from financing.ledger.accounts import AccountKey, AccountKind, Asset
from financing.ledger.chain import GENESIS, SealedEntry, SealedLine, entry_hash, stamp
from financing.ledger.entries import Entry, EntryKind, Posting
from financing.ledger.tables import AccountRow, EntryRow, HoldRow, PostingRow

account = table_of(AccountRow)
entry = table_of(EntryRow)
posting = table_of(PostingRow)
hold = table_of(HoldRow)

FREEZE_REFERENCE = "freeze:"  # what a hold for a freeze refers to, so that a refusal can say why

# Built once: on the write path, building a statement costs as much as running it.
_FIND_ACCOUNT = select(account).where(
    account.c.owner_id == bindparam("owner_id"),
    account.c.kind == bindparam("kind"),
    account.c.asset == bindparam("asset"),
    account.c.reference == bindparam("reference"),
)
_FIND_ACCOUNTS = select(account).where(
    account.c.owner_id.in_(bindparam("owners", expanding=True)),
    account.c.kind.in_(bindparam("kinds", expanding=True)),
    account.c.asset.in_(bindparam("assets", expanding=True)),
    account.c.reference.in_(bindparam("references", expanding=True)),
)
_HEAD = select(entry.c.id, entry.c.hash).order_by(entry.c.id.desc()).limit(1)
_ADD_ACCOUNT, _ADD_POSTING, _ADD_ENTRY, _ADD_HOLD = insert(account), insert(posting), insert(entry), insert(hold)
_CLOSE_HOLD = (
    update(hold)
    .where(hold.c.reference == bindparam("about"), hold.c.state == "pending")
    .values(state=bindparam("ends_as"), closed_at=bindparam("ends_at"))
)


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds, in the smallest unit of its asset. `available` is what a command may still take."""

    account_id: int
    key: AccountKey
    posted: int
    held: int
    posting_count: int

    @property
    def available(self) -> int:
        return self.posted - self.held


@dataclass(frozen=True, slots=True)
class PostedEntry:
    entry_id: int
    hash: str
    account_ids: dict[AccountKey, int]


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The last entry's number and hash; exported, it fixes everything before it."""

    entry_id: int
    hash: str


class LedgerStore(Store):
    """The ledger on one connection. Reads need no transaction of their own; writes belong to the caller's."""

    def head(self) -> LedgerHead:
        row = self._connection.execute(_HEAD).first()
        return LedgerHead(row.id, row.hash) if row else LedgerHead(0, GENESIS)

    def first_hash(self) -> str:
        """The hash of the first entry, which tells one set of books from another; the genesis hash while empty."""
        row = self._connection.execute(select(entry.c.hash).order_by(entry.c.id).limit(1)).first()
        return str(row.hash) if row else GENESIS

    def balance(self, key: AccountKey) -> Balance:
        """The account's balance; an account nobody has posted to yet is empty."""
        row = self._connection.execute(_FIND_ACCOUNT, _identity(key)).first()
        return _balance(row) if row else Balance(0, key, 0, 0, 0)

    def balances(
        self,
        *,
        owner_id: str | None = None,
        kinds: Iterable[AccountKind] = (),
        reference: str | None = None,
        window: Window = ALL,
    ) -> Page[Balance]:
        """Balances that match every given filter, in account order."""
        query = select(account)
        if owner_id is not None:
            query = query.where(account.c.owner_id == owner_id)
        if kinds := tuple(kinds):
            query = query.where(account.c.kind.in_([kind.value for kind in kinds]))
        if reference is not None:
            query = query.where(account.c.reference == reference)
        return page_of(self._connection, query, (Key(account.c.id),), window, _balance)

    def post(self, draft: Entry, *, at: datetime, actor_id: str) -> PostedEntry:
        """Store a balanced entry and move its balances.

        Raises `InsufficientBalance` (`CreditsPledged` if the units exist but are pledged) when an account would fall
        below its floor less holds or rise above its ceiling. Nothing is stored then.
        """
        head = self.head()
        balances, lines = self._write(head.entry_id + 1, draft.postings)
        digest = self.seal(head, draft.kind, draft.reference, lines, at=at, actor_id=actor_id)
        return PostedEntry(head.entry_id + 1, digest, {key: balance.account_id for key, balance in balances.items()})

    def post_note(self, kind: EntryKind, reference: str, *, at: datetime, actor_id: str) -> PostedEntry:
        """Store an entry that moves nothing: the chain covers its kind and reference. The schema takes anchors only."""
        head = self.head()
        return PostedEntry(head.entry_id + 1, self.seal(head, kind, reference, [], at=at, actor_id=actor_id), {})

    def last_reference(self, kind: EntryKind) -> str | None:
        """What the last entry of a kind refers to; None before the first."""
        query = select(entry.c.reference).where(entry.c.kind == kind.value).order_by(entry.c.id.desc()).limit(1)
        return self._connection.execute(query).scalar_one_or_none()

    def references(self, kind: EntryKind) -> Iterator[tuple[int, str]]:
        """Numbers and references of all entries of a kind, in order, a thousand in memory at once."""
        query = select(entry.c.id, entry.c.reference).where(entry.c.kind == kind.value).order_by(entry.c.id)
        last: int | None = 0
        while last is not None:
            rows = self._connection.execute(query.where(entry.c.id > last).limit(1_000)).all()
            yield from ((row.id, row.reference) for row in rows)
            last = rows[-1].id if rows else None

    def add_lines(self, entry_id: int, amounts: Mapping[AccountKey, int]) -> None:
        """Write postings of an entry that is not sealed yet; raises as `post`."""
        self._write(entry_id, [Posting(key, amount) for key, amount in amounts.items()])

    def seal(
        self,
        after: LedgerHead,
        kind: EntryKind,
        reference: str,
        lines: Sequence[SealedLine],
        *,
        at: datetime,
        actor_id: str,
    ) -> str:
        """Close the entry `after` the head over all its postings, in account order; returns its hash."""
        entry_id, previous = after.entry_id + 1, after.hash
        digest = entry_hash(previous, SealedEntry(entry_id, kind.value, reference, stamp(at), lines))
        self._connection.execute(
            _ADD_ENTRY,
            {
                "id": entry_id,
                "kind": kind.value,
                "reference": reference,
                "at": at,
                "actor_id": actor_id,
                "previous_hash": previous,
                "hash": digest,
            },
        )
        return digest

    def _write(self, entry_id: int, postings: Sequence[Posting]) -> tuple[dict[AccountKey, Balance], list[SealedLine]]:
        balances = self._open_all([line.account for line in postings])
        for line in postings:
            self._require_bounds(line, balances[line.account])
        # By account id, not by name: the order must not depend on a database's collation.
        lines = sorted((_seal(line, balances[line.account]) for line in postings), key=lambda line: line.account_id)
        self._connection.execute(
            _ADD_POSTING,
            [
                {
                    "entry_id": entry_id,
                    "account_id": line.account_id,
                    "account_seq": line.account_seq,
                    "amount": line.amount,
                    "balance_after": line.balance_after,
                }
                for line in lines
            ],
        )
        return balances, lines

    def require_available(self, key: AccountKey, amount: int) -> Balance:
        """The balance, if `amount` could be taken from it now. Raises as `post`; nothing is stored."""
        balance = self.balance(key)
        self._require_bounds(Posting(key, -amount), balance)
        return balance

    def is_known(self, asset: Asset) -> bool:
        """Whether anything was ever booked in this asset."""
        row = self._connection.execute(select(account.c.id).where(account.c.asset == asset.code).limit(1)).first()
        return row is not None

    def reserve(
        self, hold_id: str, key: AccountKey, amount: int, *, reference: str, at: datetime, expires_at: datetime | None
    ) -> None:
        """First phase of a two-phase transfer: set `amount` aside so that nothing else can take it."""
        balance = self._open(key)
        self._require_bounds(Posting(key, -amount), balance)
        self._connection.execute(
            _ADD_HOLD,
            {
                "id": hold_id,
                "account_id": balance.account_id,
                "amount": amount,
                "state": "pending",
                "reference": reference,
                "expires_at": expires_at,
                "created_at": at,
                "closed_at": None,
            },
        )

    def close_hold(self, reference: str, state: str, *, at: datetime) -> None:
        """Second phase: end the pending hold about `reference` as `posted`, `voided` or `expired`."""
        done = self._connection.execute(_CLOSE_HOLD, {"about": reference, "ends_as": state, "ends_at": at})
        if done.rowcount != 1:
            raise InvalidState("nothing is reserved under this reference", reference=reference)

    def close_holds_like(self, prefix: str, state: str, *, at: datetime) -> int:
        """End every pending hold whose reference starts with `prefix`; returns how many there were."""
        return self._connection.execute(
            update(hold)
            .where(hold.c.reference.startswith(prefix, autoescape=True), hold.c.state == "pending")
            .values(state=state, closed_at=at)
        ).rowcount

    def by_id(self, account_id: int) -> Balance:
        """The balance of a stored account. Raises `NotFound`."""
        row = self._one(select(account).where(account.c.id == account_id), "no such account", account_id=account_id)
        return _balance(row)

    def verify(self) -> LedgerHead:
        """Recompute every hash and every balance from the postings alone.

        Raises `LedgerTampered` naming the first entry or account that does not agree; returns the head otherwise.
        """
        totals: dict[int, tuple[int, int]] = {}
        previous, last = GENESIS, 0
        for sealed, stored_previous, stored_hash in self._sealed_entries():
            if sealed.entry_id != last + 1 or stored_previous != previous:
                raise LedgerTampered("the chain of entries is broken", entry_id=sealed.entry_id)
            previous, last = entry_hash(previous, sealed), sealed.entry_id
            if previous != stored_hash:
                raise LedgerTampered("an entry does not match its hash", entry_id=sealed.entry_id)
            for line in sealed.lines:
                count, total = totals.get(line.account_id, (0, 0))
                if line.account_seq != count + 1 or line.balance_after != total + line.amount:
                    raise LedgerTampered("an account's postings have a gap", account_id=line.account_id)
                totals[line.account_id] = (line.account_seq, line.balance_after)
        for row in self._connection.execute(select(account.c.id, account.c.posting_count, account.c.posted)):
            if totals.get(row.id, (0, 0)) != (row.posting_count, row.posted):
                raise LedgerTampered("a balance does not follow from its postings", account_id=row.id)
        return LedgerHead(last, previous)

    def _sealed_entries(self) -> Iterable[tuple[SealedEntry, str, str]]:
        query = (
            select(entry, posting.c.account_id, posting.c.account_seq, posting.c.amount, posting.c.balance_after)
            .select_from(entry.outerjoin(posting, posting.c.entry_id == entry.c.id))
            .order_by(entry.c.id, posting.c.account_id)
        )
        rows = self._connection.execute(query)
        for _, group in groupby(rows, key=lambda row: row.id):
            first, *more = group
            lines = [first, *more] if first.account_id is not None else []
            yield (
                SealedEntry(
                    first.id,
                    first.kind,
                    first.reference,
                    stamp(first.at),
                    [SealedLine(row.account_id, row.account_seq, row.amount, row.balance_after) for row in lines],
                ),
                first.previous_hash,
                first.hash,
            )

    def _open_all(self, keys: Sequence[AccountKey]) -> dict[AccountKey, Balance]:
        """The accounts of an entry, looked up together; those nobody has posted to yet are opened."""
        rows = self._connection.execute(
            _FIND_ACCOUNTS,
            {
                "owners": sorted({key.owner_id for key in keys}),
                "kinds": sorted({key.kind.value for key in keys}),
                "assets": sorted({key.asset.code for key in keys}),
                "references": sorted({key.reference for key in keys}),
            },
        )
        known = {balance.key: balance for balance in map(_balance, rows)}
        return {key: known[key] if key in known else self._open(key) for key in keys}

    def _open(self, key: AccountKey) -> Balance:
        row = self._connection.execute(_FIND_ACCOUNT, _identity(key)).first()
        if row is not None:
            return _balance(row)
        self._connection.execute(
            _ADD_ACCOUNT,
            _identity(key)
            | {"floor": key.kind.floor, "ceiling": key.kind.ceiling, "posted": 0, "held": 0, "posting_count": 0},
        )
        return self.balance(key)

    def _require_bounds(self, line: Posting, balance: Balance) -> None:
        kind = line.account.kind
        after = checked_int64(balance.posted + line.amount, "balance")
        if kind.floor is not None and line.amount < 0 and after - balance.held < kind.floor:
            self._refuse(line, balance)
        if kind.ceiling is not None and after > kind.ceiling:
            raise InsufficientBalance(
                "the amount is more than is owed", account=str(line.account), owed=-balance.posted, amount=line.amount
            )

    def _refuse(self, line: Posting, balance: Balance) -> None:
        facts = {"account": str(line.account), "available": balance.available, "amount": -line.amount}
        if line.account.kind is AccountKind.HOLDING:
            frozen = self._frozen(balance.account_id)
            if frozen and balance.available + frozen >= -line.amount:
                raise CreditsFrozen("these credits are frozen by the registry", **facts, frozen=frozen)
            pledged = self._connection.execute(
                select(func.coalesce(func.sum(account.c.posted), 0)).where(
                    account.c.owner_id == line.account.owner_id,
                    account.c.kind == AccountKind.PLEDGED.value,
                    account.c.asset == line.account.asset.code,
                )
            ).scalar_one()
            if pledged + balance.held > 0 and balance.posted + int(pledged) + line.amount >= 0:
                raise CreditsPledged(
                    "these credits are pledged or reserved", **facts, pledged=int(pledged), reserved=balance.held
                )
        raise InsufficientBalance("the available balance does not cover the amount", **facts)

    def _frozen(self, account_id: int) -> int:
        return int(
            self._connection.execute(
                select(func.coalesce(func.sum(hold.c.amount), 0)).where(
                    hold.c.account_id == account_id,
                    hold.c.state == "pending",
                    hold.c.reference.like(f"{FREEZE_REFERENCE}%"),
                )
            ).scalar_one()
        )

    def entries(self, *, organisation_id: str | None, window: Window) -> Page[dict[str, Any]]:
        """Entries newest first with their postings, of one organisation's accounts or (None) of all."""
        query: Select[Any] = select(entry)
        if organisation_id is not None:
            mine = (
                select(posting.c.entry_id)
                .join(account, account.c.id == posting.c.account_id)
                .where(account.c.owner_id == organisation_id)
            )
            query = query.where(entry.c.id.in_(mine))
        keys = (Key(entry.c.id, descending=True),)
        heads = page_of(self._connection, query, keys, window, lambda row: row)
        return heads.map(lambda rows: self._with_lines(rows, organisation_id))

    def _with_lines(self, heads: Sequence[Row[Any]], organisation_id: str | None) -> list[dict[str, Any]]:
        lines = self._lines([row.id for row in heads], organisation_id)
        return [
            {
                "entry_id": row.id,
                "kind": row.kind,
                "reference": row.reference,
                "at": row.at,
                "hash": row.hash,
                "postings": lines.get(row.id, []),
            }
            for row in heads
        ]

    def _lines(self, entry_ids: Sequence[int], organisation_id: str | None) -> dict[int, list[dict[str, Any]]]:
        query = (
            select(posting, account.c.owner_id, account.c.kind, account.c.asset, account.c.reference)
            .join(account, account.c.id == posting.c.account_id)
            .where(posting.c.entry_id.in_(entry_ids))
            .order_by(posting.c.entry_id, account.c.id)
        )
        if organisation_id is not None:
            query = query.where(account.c.owner_id == organisation_id)
        lines: dict[int, list[dict[str, Any]]] = {}
        for row in self._connection.execute(query):
            lines.setdefault(row.entry_id, []).append(
                {
                    "owner_id": row.owner_id,
                    "account": row.kind,
                    "asset": row.asset,
                    "reference": row.reference,
                    "amount": row.amount,
                    "balance_after": row.balance_after,
                }
            )
        return lines

    def account_id(self, key: AccountKey) -> int:
        """The stored id of an account; raises `NotFound` if nothing was ever posted to it."""
        balance = self.balance(key)
        if balance.account_id == 0:
            raise NotFound("no such account", account=str(key))
        return balance.account_id


def _identity(key: AccountKey) -> dict[str, Any]:
    return {
        "owner_id": key.owner_id,
        "kind": key.kind.value,
        "asset": key.asset.code,
        "reference": key.reference,
    }


def _balance(row: Row[Any]) -> Balance:
    key = AccountKey(row.owner_id, AccountKind(row.kind), Asset(row.asset), row.reference)
    return Balance(row.id, key, row.posted, row.held, row.posting_count)


def _seal(line: Posting, balance: Balance) -> SealedLine:
    return SealedLine(balance.account_id, balance.posting_count + 1, line.amount, balance.posted + line.amount)
