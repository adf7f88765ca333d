"""Intersection probing against a grid company's own node, without and with what stops it.

A bank enters ids of its choosing, without and with signed elements; an operator plays the bank, without and with
sealed messages.
"""

from __future__ import annotations

import secrets
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from federated.alignment import psi
from federated.alignment.meeting import NONCE_BYTES, Meeting
from federated.alignment.session import AlignmentSession
from federated.consent.instants import to_micros
from federated.consent.record import ConsentRecord, DataScope, KeyAttestation, Purpose
from federated.consent.signature import public_of, sign
from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AlignmentFailed, ConsentSignatureInvalid
from federated.nodes.grid import GridNode
from federated.nodes.identity import fresh_identities
from federated.nodes.store import NodeStore
from federated.privacy.attacks.intersection_probing import probed, with_bare_ids, with_copies, with_made_up_signatures
from federated.protocols.catalogue import VERTICAL
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.node_app import node_app
from simulations.worlds.columns import load_schema
from simulations.worlds.wallet import Wallet

BANK, GRID = "bank-gusu", "grid-sip"
AT = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Probing:
    """Shares of the grid company's customers that a probing bank found, and AUC of found against customer.

    `probed_ids` are half customers without a consent towards the bank, half strangers. `planted_refused` of the
    consents that the bank made up were refused by the node; as many again were written into its store file.
    `honest_found` is the share of consented customers that an honest bank still finds. `played_found_unsealed` and
    `played_found` are the share that an operator finds who has copies of their consents and plays the bank.
    """

    probed_ids: int
    bare_members_found: float
    bare_auc: float
    planted_refused: int
    signed_members_found: float
    signed_false_positives: float
    signed_auc: float
    honest_found: float
    played_found_unsealed: float
    played_found: float


def measure_probing(customers: int) -> Probing:
    """Probe `customers` of a grid company and as many strangers; a tenth as many did sign, for another check."""
    wallet = Wallet(secrets.token_bytes(32), secrets.token_bytes(32))
    members = [f"FIRM-{i:06d}" for i in range(customers)]
    strangers = [f"FIRM-{i:06d}" for i in range(customers, 2 * customers)]
    signers = [f"FIRM-{i:06d}" for i in range(2 * customers, 2 * customers + max(customers // 10, 1))]
    member = dict.fromkeys(members, True) | dict.fromkeys(strangers, False)
    with tempfile.TemporaryDirectory(prefix="tanxin-probing-") as folder:
        store = _store(Path(folder) / f"{GRID}.db", [*members, *signers], wallet)
        node = GridNode(store)
        try:
            given = {subject: wallet.sign(_draft(subject)) for subject in signers}
            node.record_consents(given.values())
            refused = _plant(node, Path(folder) / f"{GRID}.db", members)
            bare = {subject: subject.encode() for subject in members}
            unprotected = probed(with_bare_ids(list(member), lambda entered: _exchange(node, bare, entered)), member)
            consents = node.training_consents(BANK, AT, grid_id=GRID)
            protected = {subject: psi.element(subject, record.signature) for subject, record in consents.items()}
            own = secrets.token_bytes(32)
            taken = next(iter(given.values())).signature
            made_up = (lambda subject: _forged(_draft(subject), own).signature, lambda _: taken)
            hits = with_made_up_signatures(
                list(member), made_up, psi.element, lambda entered: _exchange(node, protected, entered)
            )
            after = probed(hits, member)
            honest = {psi.element(subject, record.signature) for subject, record in given.items()}
            matched = _exchange(node, protected, list(honest))
            copies = {subject: psi.element(subject, record.signature) for subject, record in given.items()}
            unsealed = with_copies(copies, lambda entered: _exchange(node, protected, entered))
            sealed = with_copies(copies, lambda entered: _played(node, entered))
        finally:
            store.close()
    return Probing(
        probed_ids=len(member),
        bare_members_found=unprotected.members_found,
        bare_auc=unprotected.auc,
        planted_refused=refused,
        signed_members_found=after.members_found,
        signed_false_positives=after.false_positives,
        signed_auc=after.auc,
        honest_found=len(matched) / len(honest),
        played_found_unsealed=len(unsealed) / len(copies),
        played_found=len(sealed) / len(copies),
    )


def _draft(subject: str) -> ConsentRecord:
    return ConsentRecord(
        consent_id=f"C-{subject}",
        subject_id=subject,
        bank_id=BANK,
        purposes=frozenset(Purpose),
        scope=frozenset(DataScope),
        valid_from=AT,
        valid_until=AT + timedelta(days=30),
        grid_id=GRID,
    )


def _forged(draft: ConsentRecord, secret: bytes) -> ConsentRecord:
    """Signed with the bank's own key, which no authority attested to the subject."""
    key = KeyAttestation(draft.subject_id, public_of(secret), AT, AT + timedelta(days=30), b"")
    return sign(draft, secret, replace(key, signature=secrets.token_bytes(64)))


def _store(path: Path, subjects: Sequence[str], wallet: Wallet) -> NodeStore:
    schema = load_schema("generated-firms")
    return NodeStore.create(
        path,
        org_id=GRID,
        role="grid",
        schema=schema,
        data_origin=schema.data_origin,
        authority=wallet.authority,
        subjects=subjects,
        values=np.zeros((len(subjects), len(schema.grid.columns))),
    )


def _plant(node: GridNode, path: Path, subjects: Sequence[str]) -> int:
    """Offer consents that the bank made up to the node, and write them into its file; how many it refused."""
    own, refused = secrets.token_bytes(32), 0
    rows = []
    for subject in subjects:
        forged = _forged(_draft(subject), own)
        try:
            node.record_consent(forged)
        except ConsentSignatureInvalid:
            refused += 1
        rows.append((f"P-{subject}", subject, forged.signature, public_of(own)))
    with sqlite3.connect(path) as db:
        db.executemany(
            "INSERT INTO consents SELECT ?1, ?2, bank_id, purposes, scope, valid_from_us, valid_until_us, ?3, ?4,"
            " key_from_us, key_until_us, key_signature, grid_id FROM consents LIMIT 1",
            rows,
        )
    db.close()
    return refused


def _exchange(node: GridNode, grid_elements: Mapping[str, bytes], entered: Sequence[bytes]) -> Set[bytes]:
    """One private set intersection as the bank runs it against the node: which of its own elements matched."""
    session, secret = AlignmentSession(node.store, BANK), psi.new_secret()
    of_grid = session.blind(grid_elements)
    own = psi.split(session.double(psi.blind(secret, entered)), psi.TAG_BYTES)
    theirs = set(psi.split(psi.double_blind(secret, of_grid), psi.TAG_BYTES))
    return {member for member, tag in zip(entered, own, strict=True) if tag in theirs}


def _played(node: GridNode, entered: Sequence[bytes]) -> Set[bytes]:
    """The same, by messages of an operator in the bank's name; empty if the node does not answer.

    It has signed a key of its own for the bank, it shows the node's own card to it, and it leaves the meeting out.
    """
    known = fresh_identities((BANK, GRID), {BANK: "bank", GRID: "grid"})
    board = Switchboard(InProcessGrid({2: Seat(node_app(node, known[GRID], VERTICAL), {})}))
    board.introduce()
    secret = psi.new_secret()
    points = psi.blind(secret, entered)
    nonce = secrets.token_bytes(NONCE_BYTES)
    made_up = fresh_identities((BANK, GRID), {BANK: "bank", GRID: "grid"})[BANK]
    own = Meeting(made_up, GRID, to_micros(AT), nonce)

    def ask(step: str, **fields: bytes) -> Content:
        return board.ask(f"query.align_{step}", {GRID: Content(config={"peer": BANK, **fields})})[GRID]

    def by_card(key: bytes, signature: bytes) -> Set[bytes]:
        of_grid = ask("blind", key=key, signature=signature).points("points")
        own_tags = psi.split(ask("double", points=points).points("points"), psi.TAG_BYTES)
        theirs = set(psi.split(psi.double_blind(secret, of_grid), psi.TAG_BYTES))
        return {member for member, tag in zip(entered, own_tags, strict=True) if tag in theirs}

    found: set[bytes] = set()
    met = board.ask("query.align_meet", {GRID: Content(config={"peer": BANK, "at_us": to_micros(AT), "nonce": nonce})})[
        GRID
    ]
    for card in (own.card, (met.points("key"), met.points("signature"))):
        with suppress(AlignmentFailed):
            found |= by_card(*card)
    with suppress(AlignmentFailed):
        ask("double", points=points)
        found |= set(entered)
    return found
