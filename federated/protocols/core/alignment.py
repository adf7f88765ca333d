"""Before any training: who takes part, and which customers each bank shares with each grid company.

The operator passes on what the two nodes of a pair sealed for each other (`alignment.meeting`), and compares digests.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.alignment.meeting import NONCE_BYTES, Meeting
from federated.alignment.psi import element
from federated.alignment.session import AlignmentSession
from federated.consent.instants import from_micros
from federated.consent.record import Purpose
from federated.consent.uses import Action
from federated.errors import AlignmentFailed, NoOverlap, SchemaMismatch, TrainingFailed
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import Identity
from federated.nodes.schema import FeatureSchema, schema_of
from federated.protocols.core.messages import Content, Switchboard, answering


@dataclass(frozen=True, slots=True)
class Participants:
    """Who takes part: organisations by role, their data hashes, the common schema and data origin."""

    banks: tuple[str, ...]
    grids: tuple[str, ...]
    schema: FeatureSchema
    data_origin: str
    data_sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Sizes of all pairwise intersections, keyed `bank|grid company`, and the seconds they took together."""

    seconds: float
    rows: dict[str, int]


STEPS = ("meet", "blind", "double", "match")


@dataclass(frozen=True, slots=True)
class AlignmentStep:
    """How far an alignment is: what comes next between whom, and steps done out of all."""

    bank: str
    grid: str
    action: str
    done: int
    total: int


Report = Callable[[AlignmentStep], None]


def participants(board: Switchboard) -> Participants:
    """Ask everybody who they are. Raises `SchemaMismatch` if nodes disagree, `TrainingFailed` if a role is empty."""
    cards = board.introduce()
    kinds = {(c.text("schema"), c.text("data_origin")) for c in cards.values()}
    if len(kinds) != 1:
        named = sorted({f"{c.text('schema_id')} of {c.text('data_origin')}" for c in cards.values()})
        raise SchemaMismatch(f"nodes hold different kinds of data: {', '.join(named)}")
    text, origin = kinds.pop()
    schema = schema_of(text)
    banks = tuple(sorted(org for org, c in cards.items() if c.text("role") == "bank"))
    grids = tuple(sorted(org for org, c in cards.items() if c.text("role") == "grid"))
    if not banks or not grids:
        raise TrainingFailed("a network needs at least one bank and one grid company")
    return Participants(banks, grids, schema, origin, {org: c.text("data_sha256") for org, c in cards.items()})


def align(board: Switchboard, people: Participants, at_us: int, report: Report) -> Alignment:
    """Intersect every bank with every grid company. Raises `NoOverlap` naming who shares no customer with anybody."""
    started = time.perf_counter()
    pairs = [(bank, grid) for bank in people.banks for grid in people.grids]
    total = len(pairs) * len(STEPS)
    rows = {}
    for number, (bank, grid) in enumerate(pairs):
        steps = [
            AlignmentStep(bank, grid, action, number * len(STEPS) + place, total) for place, action in enumerate(STEPS)
        ]
        rows[f"{bank}|{grid}"] = _align_pair(board, bank, grid, at_us, steps, report)
    if pairs:
        report(AlignmentStep(*pairs[-1], "done", total, total))
    if not any(rows.values()):
        raise NoOverlap("no bank shares a consented customer with any grid company", column="id")
    for org in (*people.banks, *people.grids):
        if not any(count for pair, count in rows.items() if org in pair.split("|")):
            detail = f"{org}: column id has no consented customer in common with any node of the other side"
            raise NoOverlap(detail, party=org, column="id")
    return Alignment(time.perf_counter() - started, rows)


def _align_pair(
    board: Switchboard, bank: str, grid: str, at_us: int, steps: Sequence[AlignmentStep], report: Report
) -> int:
    meet, blind, double, match = steps

    def both(step: AlignmentStep, to_bank: Content, to_grid: Content) -> dict[str, Content]:
        report(step)
        return board.ask(f"query.align_{step.action}", {bank: to_bank, grid: to_grid})

    run: dict[str, int | str | bytes] = {"at_us": at_us, "nonce": secrets.token_bytes(NONCE_BYTES)}
    cards = both(meet, Content(config=run | {"peer": grid}), Content(config=run | {"peer": bank}))
    blinded = both(blind, _card(grid, cards[grid]), _card(bank, cards[bank]))
    tags = both(double, _to(grid, blinded[grid].points("points")), _to(bank, blinded[bank].points("points")))
    # Each party doubled the other's points: its answer goes back to their owner.
    matched = both(match, _to(grid, tags[grid].points("points")), _to(bank, tags[bank].points("points")))
    if matched[bank].points("digest") != matched[grid].points("digest"):
        raise AlignmentFailed(f"{bank} and {grid} found different customers in common", party=bank, peer=grid)
    return matched[grid].integer("rows")


def _card(peer: str, card: Content) -> Content:
    return Content(config={"peer": peer, "key": card.points("key"), "signature": card.points("signature")})


def _to(peer: str, points: bytes) -> Content:
    return Content(config={"peer": peer, "points": points})


def add_alignment(app: ClientApp, node: BankNode | GridNode, identity: Identity) -> None:
    """Let a node's app answer the steps of an alignment, each with a peer that it met. Nothing outlives the process."""
    meetings: dict[str, Meeting] = {}

    def met(content: Content) -> Meeting:
        peer = content.text("peer")
        if peer not in meetings:
            raise AlignmentFailed(f"{node.org_id}: no alignment with {peer} was begun", party=node.org_id, peer=peer)
        return meetings[peer]

    @app.query("align_meet")
    @answering
    def align_meet(content: Content, _: Context) -> Content:
        peer = content.text("peer")
        meetings[peer] = Meeting(identity, peer, content.integer("at_us"), content.points("nonce"))
        key, signature = meetings[peer].card
        return Content(config={"key": key, "signature": signature})

    @app.query("align_blind")
    @answering
    def align_blind(content: Content, _: Context) -> Content:
        meeting = met(content)
        meeting.meet(content.points("key"), content.points("signature"))
        bank_id, grid_id = (node.org_id, meeting.peer) if node.role == "bank" else (meeting.peer, node.org_id)
        at = from_micros(meeting.at_us)
        consents = node.training_consents(bank_id, at, grid_id=grid_id)
        used = {subject: record.consent_id for subject, record in consents.items()}
        node.log_batch(Action.ALIGNMENT, bank_id, Purpose.MODEL_TRAINING, at, used)
        elements = {subject: element(subject, record.signature) for subject, record in consents.items()}
        blinded = AlignmentSession(node.store, meeting.peer).blind(elements)
        return Content(config={"points": meeting.seal("blind", blinded)})

    @app.query("align_double")
    @answering
    def align_double(content: Content, _: Context) -> Content:
        meeting = met(content)
        tags = AlignmentSession(node.store, meeting.peer).double(meeting.open("blind", content.points("points")))
        return Content(config={"points": meeting.seal("double", tags)})

    @app.query("align_match")
    @answering
    def align_match(content: Content, _: Context) -> Content:
        meeting = met(content)
        own_tags = meeting.open("double", content.points("points"))
        rows, digest = AlignmentSession(node.store, meeting.peer).match(own_tags)
        del meetings[meeting.peer]
        return Content(config={"rows": rows, "digest": digest})
