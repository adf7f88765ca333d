"""A bank's signed statement of a score at the exchange: verified, made into what a decision rests on, and stored.

Guarantee: a decision rests on a score only if a key that the deciding bank registered for statements, that held when
the score was made and that nobody revoked since, signed this very score of this very borrower. What is stored is enough
to prove that later, from the database alone (`verify_stored`). It has no reasons: the signature covers a salted digest
of them (`federated.nodes.statements`). Threat model: whoever hands a statement in, an officer of the bank as well, and
whoever edits rows later. Not covered: a bank whose node states what it did not compute; a consent that was withdrawn at
a node in another process after the statement was made, which the exchange cannot see until the statement has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, exists, insert, select

from credit_api.app.errors import AuditTampered, StatementKeyRefused, StatementMissing, StatementReused
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.store import audit_t
from credit_api.audit.trace import current
from credit_api.http.auth.sessions import machine_key_t
from credit_api.http.tables import DecisionStatementRow, StatementRow
from credit_api.organisations.machines import MachineKey, ed25519_of, statement_keys
from credit_api.scores.inquiries import inquiry_of
from federated.consent.record import Purpose
from federated.errors import FederatedError, InvalidStatement, PurposeNotCovered, VersionNotApproved, VersionNotFound
from federated.nodes.statements import ScoreStatement, SignedStatement, as_document, require_signed
from federated.serving.queries import SCORE_VALIDITY
from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.base.storage.columns import table_of
from financing.lending.origination.assessment import CreditAssessment, NoFile
from financing.lending.unit import UnitOfWork

if TYPE_CHECKING:
    from federated.governance.versions import Governance

statement_t, decision_statement_t = table_of(StatementRow), table_of(DecisionStatementRow)
STORED = "store_statement"
_signed = TypeAdapter(SignedStatement)
_said = TypeAdapter(ScoreStatement)


@dataclass(frozen=True, slots=True)
class Verified:
    """A statement that may support a decision, and the registered key that verified it."""

    signed: SignedStatement
    key: MachineKey


@dataclass(frozen=True, slots=True)
class Support:
    """What a decision rests on: an assessment with its verified statement, or that there is no file."""

    credit: CreditAssessment | NoFile
    proof: Verified | None = None


def of_statement(parts: Parts, unit: UnitOfWork, signed: SignedStatement, bank_id: str, at: datetime) -> Support:
    """A statement that a bank handed in, verified; where the bank's node runs in this process, the consent must still
    stand. Raises what `verified` raises, and `ConsentWithdrawn`, `ConsentExpired` and their kin."""
    proof = verified(parts, unit.connection, signed, bank_id)
    said = signed.statement
    if (parts.settings.network_home / "nodes" / f"{bank_id}.db").exists():
        parts.network.usable_consent(said.consent_id, bank_id, said.subject_id, said.purpose, at)
    return Support(assessment_of(said), proof)


def of_inquiry(parts: Parts, unit: UnitOfWork, inquiry_id: str, bank_id: str, at: datetime) -> Support:
    """What an inquiry of this service was answered: its consent must still stand, for the purpose it was asked for,
    and its statement is verified again.

    Raises what `inquiry_of` and `verified` raise, `StatementMissing` for an answer of before there were statements,
    and `ConsentWithdrawn`, `ConsentExpired` and their kin.
    """
    inquiry = inquiry_of(unit.connection, inquiry_id, bank_id)
    purpose = Purpose(inquiry.purpose)
    parts.network.usable_consent(inquiry.consent_id, bank_id, inquiry.subject_id, purpose, at)
    if inquiry.outcome == "no_file":
        return Support(NoFile(inquiry.subject_id))
    if not inquiry.answer.get("statement"):
        raise StatementMissing("this answer has no signed statement: ask for the score anew", inquiry_id=inquiry_id)
    proof = verified(parts, unit.connection, stored_statement(inquiry.answer["statement"]), bank_id)
    return Support(assessment_of(proof.signed.statement), proof)


def verified(parts: Parts, connection: Connection, signed: SignedStatement, bank_id: str) -> Verified:
    """A statement of this bank, by a key that it registered. The subject and the term are the decision's to check.

    Raises `NotPermitted` for another bank's, `PurposeNotCovered` for one that was not made for a credit application,
    `StatementKeyRefused`, `StatementSignatureInvalid`, `InvalidStatement`, and `VersionNotFound` or
    `VersionNotApproved` where this service has the register of models.
    """
    said = signed.statement
    if said.bank_id != bank_id:
        raise NotPermitted("this statement is another bank's", bank_id=said.bank_id)
    if said.purpose != Purpose.CREDIT_APPLICATION:
        raise PurposeNotCovered("this score was asked for another purpose", purpose=said.purpose.value)
    key = _key_of(connection, signed)
    require_signed(signed)
    if said.valid_until - said.assessed_at > SCORE_VALIDITY:
        raise InvalidStatement(f"a score holds for {SCORE_VALIDITY.days} days at the most", field="valid_until")
    governance = parts.governance
    if governance is None:
        raise VersionNotFound(
            "this service has no register of models to know the version by", version=said.model_version
        )
    _require_approved(governance, said)
    return Verified(signed, key)


def stored_statement(document: dict[str, Any]) -> SignedStatement:
    """A signed statement of a stored answer. Raises `InvalidStatement` for one that was spoilt there."""
    try:
        return _signed.validate_python(document)
    except ValidationError as error:
        raise InvalidStatement("what is stored is no signed statement") from error


def assessment_of(said: ScoreStatement) -> CreditAssessment:
    """Financing's view of a statement: the one place where the two stories meet."""
    return CreditAssessment(
        assessment_id=said.statement_id,
        subject=said.subject_id,
        score=said.score,
        probability=said.probability,
        grade=said.grade,
        model_version=said.model_version,
        assessed_at=said.assessed_at,
        valid_until=said.valid_until,
        basis=said.basis,
    )


def keep(parts: Parts, unit: UnitOfWork, context: Context, proof: Verified, decision_id: str) -> None:
    """Store a statement beside the decision that rests on it; one that is there stands, whatever rests on it besides.

    The trail has its hash, in the same transaction. Raises `StatementReused` where this bank's statement of this id
    said something else before.
    """
    said, connection = proof.signed.statement, unit.connection
    whose = {"bank_id": said.bank_id, "statement_id": said.statement_id}
    query = select(statement_t.c.sha256).filter_by(**whose)
    known = connection.execute(query).scalar_one_or_none()
    if known is None:
        row = {
            "subject_id": said.subject_id,
            "sha256": said.sha256,
            "statement": as_document(proof.signed)["statement"],
            "machine_id": proof.key.machine_id,
            "kid": proof.key.kid,
            "signature": proof.signed.signature,
            "stored_at": context.at,
        }
        connection.execute(insert(statement_t).values(whose | row))
        event = AuditEvent(
            at=context.at,
            action=STORED,
            outcome="committed",
            organisation_id=context.actor.id,
            person=context.person,
            concerns_id=said.subject_id,
            object_id=proof.signed.proof_sha256,
            request_id=current().request_id,
        )
        parts.audit.record(unit, event)
    elif known != said.sha256:
        raise StatementReused("this statement's id is known with another content", statement_id=said.statement_id)
    connection.execute(insert(decision_statement_t).values(whose | {"decision_id": decision_id}))


def verify_stored(connection: Connection) -> int:
    """Verify every stored statement from the database alone: what it says, its signature, the hash of both and of the
    key in the trail, that the key was registered by its bank and held when the score was made, that a decision rests on
    it, and that every statement of the trail is there. How many there are.

    Run `verify_trail` before: a hash in the trail is worth what the trail is. Raises `AuditTampered` at the first that
    does not fit. A key that was revoked later does not undo what was decided before.
    """
    rests = exists().where(
        decision_statement_t.c.bank_id == statement_t.c.bank_id,
        decision_statement_t.c.statement_id == statement_t.c.statement_id,
    )
    query = select(
        statement_t, machine_key_t.c.jwk, machine_key_t.c.created_at, machine_key_t.c.expires_at, rests.label("rests")
    )
    query = query.outerjoin(
        machine_key_t,
        (machine_key_t.c.machine_id == statement_t.c.machine_id) & (machine_key_t.c.kid == statement_t.c.kid),
    ).order_by(statement_t.c.stored_at)
    told = set(connection.execute(select(audit_t.c.object_id).where(audit_t.c.action == STORED)).scalars())
    found = set()
    for row in connection.execute(query):
        where = {"bank_id": row.bank_id, "statement_id": row.statement_id}
        if row.jwk is None or not row.rests:
            raise AuditTampered("the key of a stored statement is gone, or the decision that rests on it", **where)
        try:
            said = _said.validate_python(row.statement)
            signed = SignedStatement(said, ed25519_of(row.jwk) or "", row.signature)
            require_signed(signed)
        except (FederatedError, ValueError) as error:
            raise AuditTampered("a stored statement is not what its bank's node signed", **where) from error
        if (said.bank_id, said.statement_id, said.subject_id) != (row.bank_id, row.statement_id, row.subject_id):
            raise AuditTampered("a statement is stored under another's name", **where)
        if said.sha256 != row.sha256 or signed.proof_sha256 not in told:
            raise AuditTampered("the audit trail has no statement of this hash", **where)
        if not row.created_at <= said.assessed_at < row.expires_at:
            raise AuditTampered("the key of a stored statement did not hold when the score was made", **where)
        found.add(signed.proof_sha256)
    if gone := told - found:
        raise AuditTampered("the audit trail tells of statements that are not stored any more", count=len(gone))
    return len(found)


def _key_of(connection: Connection, signed: SignedStatement) -> MachineKey:
    said = signed.statement
    named = {"bank_id": said.bank_id, "statement_id": said.statement_id}
    keys = statement_keys(connection, said.bank_id, signed.public_key)
    if not keys:
        raise StatementKeyRefused("the bank registered no such key for statements", **named)
    if any(key.revoked_at is not None for key in keys):
        raise StatementKeyRefused("the key of this statement was revoked", **named)
    held = [key for key in keys if key.created_at <= said.assessed_at < key.expires_at]
    if not held:
        raise StatementKeyRefused("the key was not registered for the time of this statement", **named)
    return held[0]


def _require_approved(governance: Governance, said: ScoreStatement) -> None:
    status = governance.lifecycle().status(said.model_version, said.assessed_at)
    if status != "approved":
        raise VersionNotApproved(f"{said.model_version} is {status} here", version=said.model_version)
    known = governance.manifest_sha256(said.model_version), governance.manifest(said.model_version).weights_sha256
    if (said.manifest_sha256, said.model_sha256) != known:
        raise InvalidStatement("the register holds another model under this version", version=said.model_version)
