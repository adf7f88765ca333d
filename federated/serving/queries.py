"""What a bank asks and what it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from federated.consent.record import Purpose
from federated.models.served.reasons import Reason
from federated.nodes.statements import SignedStatement

SCORE_VALIDITY = timedelta(days=30)


class Basis(StrEnum):
    """Which parties' data a score rests on."""

    JOINT = "joint"
    BANK_ONLY = "bank_only"


class Electricity(StrEnum):
    """What became of the grid company's share. Anything but `included` makes the score `bank_only`, and says why.

    By a version whose joint model was no better than banks alone, electricity data is not used and nobody is asked.
    """

    INCLUDED = "included"
    NOT_CONSENTED = "not_consented"
    NO_FILE = "no_file"
    UNAVAILABLE = "unavailable"
    NOT_USED = "not_used"


@dataclass(frozen=True, slots=True)
class ScoreQuery:
    """A bank asks for the score of one of its own customers, under a named consent, for a stated purpose, at `at`."""

    bank_id: str
    subject_id: str
    consent_id: str
    purpose: Purpose
    at: datetime


@dataclass(frozen=True, slots=True)
class Score:
    """A score of 300–850 (higher is better), probability of default, grade A–E and at most four adverse reasons.

    The probability is that of the whole score point, so it tells no more than the score. `basis` says whether a grid
    company's share is in it and `electricity` why not; asked again when an unavailable node is back, the score may
    differ. `data_origin` is `generated` for a generated population. `statement` says the same but for the reasons,
    signed by the bank's node.
    """

    subject_id: str
    score: int
    probability: float
    grade: str
    reasons: tuple[Reason, ...]
    model_version: str
    basis: Basis
    electricity: Electricity
    data_origin: str
    scored_at: datetime
    # Two answers that say the same are equal, and each has a statement of its own.
    statement: SignedStatement = field(compare=False)

    @property
    def valid_until(self) -> datetime:
        """Until when the score may be used, exclusive."""
        return self.statement.statement.valid_until


@dataclass(frozen=True, slots=True)
class NoFile:
    """The bank has no record of this subject. An answer of its own: neither an error nor a low score."""

    subject_id: str
    answered_at: datetime
