"""What a lender knows of an applicant's credit: an assessment with its model and term, or that there is no file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from financing.base.errors import AssessmentExpired, CorruptData
from financing.base.quantities import require_utc

Basis = Literal["joint", "bank_only"]


@dataclass(frozen=True, slots=True)
class CreditAssessment:
    """A score (300–850) with the probability of default within a year that it stands for.

    `basis` is joint when the bank's and the grid company's features were used, bank_only when only the bank's were.
    Raises `CorruptData` for values outside their range.
    """

    assessment_id: str
    subject: str
    score: int
    probability: float
    grade: str
    model_version: str
    assessed_at: datetime
    valid_until: datetime
    basis: Basis

    def __post_init__(self) -> None:
        object.__setattr__(self, "assessed_at", require_utc(self.assessed_at))
        object.__setattr__(self, "valid_until", require_utc(self.valid_until))
        if not 300 <= self.score <= 850:
            raise CorruptData("a score lies between 300 and 850", score=self.score)
        if not 0.0 <= self.probability <= 1.0:
            raise CorruptData("a probability lies between 0 and 1", probability=self.probability)
        if self.valid_until <= self.assessed_at:
            raise CorruptData("an assessment is valid after it is made", valid_until=str(self.valid_until))


@dataclass(frozen=True, slots=True)
class NoFile:
    """Nobody holds data on `subject`. It is not a low score."""

    subject: str


Credit = CreditAssessment | NoFile


def require_current(assessment: CreditAssessment, at: datetime) -> CreditAssessment:
    """The assessment, or `AssessmentExpired` when `at` is outside its term."""
    if not assessment.assessed_at <= require_utc(at) < assessment.valid_until:
        raise AssessmentExpired(
            "the credit assessment is not valid now",
            assessment_id=assessment.assessment_id,
            valid_until=str(assessment.valid_until),
        )
    return assessment
