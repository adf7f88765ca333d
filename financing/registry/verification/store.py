"""Accreditations, declared relations, assignments, verifiers' findings and signed statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from financing.base.signing import Signature
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.accounts import CREDIT_PREFIX, AccountKind
from financing.ledger.store import account
from financing.registry.credits.tables import IssuanceRow
from financing.registry.verification.findings import VerifierFinding
from financing.registry.verification.independence import Accreditation, Relation
from financing.registry.verification.model import Assignment, SignedStatement
from financing.registry.verification.tables import (
    AccreditationRow,
    OrganisationRelationRow,
    SignedStatementRow,
    VerificationAssignmentRow,
    VerifierFindingRow,
)

accreditation_t = table_of(AccreditationRow)
relation_t = table_of(OrganisationRelationRow)
assignment_t = table_of(VerificationAssignmentRow)
finding_t = table_of(VerifierFindingRow)
signed_t = table_of(SignedStatementRow)
issuance_t = table_of(IssuanceRow)
STAKES = (AccountKind.HOLDING, AccountKind.PLEDGED, AccountKind.ESCROW, AccountKind.PACKAGED)


_FINDINGS = select(finding_t, finding_t.c.id.label("finding_id"), finding_t.c.period_id.label("monitoring_period_id"))


class VerificationStore(Store):
    def add_accreditation(self, new: Accreditation, *, by: str, at: datetime) -> None:
        self._add(accreditation_t, new, recorded_by=by, recorded_at=at)

    def accreditations(self, window: Window = ALL) -> Page[tuple[int, Accreditation]]:
        """What the registry recorded, each with its number, in the order it was recorded."""
        return page_of(
            self._connection,
            select(accreditation_t),
            (Key(accreditation_t.c.id),),
            window,
            lambda row: (row.id, value_of(Accreditation, row)),
        )

    def add_relation(self, relation: Relation, source: str, *, by: str, at: datetime) -> None:
        self._add(relation_t, relation, source=source, declared_by=by, declared_at=at)

    def relations(self) -> list[Relation]:
        return [Relation(row.first_id, row.second_id) for row in self._connection.execute(select(relation_t))]

    def holders(self, project_id: str) -> frozenset[str]:
        """Everyone who has credits of the project: held, pledged, in escrow or frozen."""
        mine = select(issuance_t.c.id).where(issuance_t.c.project_id == project_id)
        assets = [CREDIT_PREFIX + row.id for row in self._connection.execute(mine)]
        rows = self._connection.execute(
            select(account.c.owner_id)
            .where(account.c.asset.in_(assets), account.c.posted > 0, account.c.kind.in_([k.value for k in STAKES]))
            .distinct()
        )
        return frozenset(row.owner_id for row in rows)

    def assign(self, assignment: Assignment, *, by: str, at: datetime) -> None:
        known = self.assignment(assignment.period_id)
        values = {
            "verifier_id": assignment.verifier_id,
            "due_on": assignment.due_on,
            "assigned_by": by,
            "assigned_at": at,
        }
        if known is None:
            self._add(assignment_t, assignment, **values)
        else:
            mine = assignment_t.c.period_id == assignment.period_id
            self._connection.execute(update(assignment_t).where(mine).values(**values))

    def assignment(self, period_id: str) -> Assignment | None:
        row = self._connection.execute(select(assignment_t).where(assignment_t.c.period_id == period_id)).first()
        return None if row is None else Assignment(row.period_id, row.verifier_id, row.due_on)

    def add_finding(self, finding: VerifierFinding) -> None:
        self._add(finding_t, finding, id=finding.finding_id, period_id=finding.monitoring_period_id)

    def save_finding(self, finding: VerifierFinding) -> None:
        self._connection.execute(
            update(finding_t)
            .where(finding_t.c.id == finding.finding_id)
            .values(
                answer=finding.answer,
                answered_at=finding.answered_at,
                closing=finding.closing,
                closed_at=finding.closed_at,
            )
        )

    def finding(self, finding_id: str) -> VerifierFinding:
        row = self._one(_FINDINGS.where(finding_t.c.id == finding_id), "no such finding", finding_id=finding_id)
        return _finding(row)

    def findings(self, period_id: str, *, window: Window = ALL) -> Page[VerifierFinding]:
        """A verifier's findings on a period, in the order they were raised."""
        query = _FINDINGS.where(finding_t.c.period_id == period_id)
        keys = (Key(finding_t.c.raised_at), Key(finding_t.c.id))
        return page_of(self._connection, query, keys, window, _finding)

    def findings_on(self, period_ids: Sequence[str]) -> dict[str, list[VerifierFinding]]:
        """The findings on each of these periods, in the order they were raised: one query for all."""
        query = _FINDINGS.where(finding_t.c.period_id.in_(list(period_ids)))
        findings: dict[str, list[VerifierFinding]] = {}
        for row in self._connection.execute(query.order_by(finding_t.c.raised_at, finding_t.c.id)):
            findings.setdefault(row.period_id, []).append(_finding(row))
        return findings

    def add_statement(self, statement: SignedStatement) -> None:
        self._add(signed_t, statement.signature, statement, verifier_id=statement.signature.signer_id)

    def statement(self, period_id: str) -> SignedStatement | None:
        """The signed statement; None for one made before statements were signed."""
        row = self._connection.execute(select(signed_t).where(signed_t.c.period_id == period_id)).first()
        if row is None:
            return None
        signature = Signature(row.verifier_id, row.public_key, row.signature)
        return SignedStatement(row.statement_id, row.period_id, row.document, signature)


def _finding(row: Row[Any]) -> VerifierFinding:
    return VerifierFinding.model_validate(row, from_attributes=True)
