"""Who verifies a period until when, and what a verifier signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from financing.base.signing import Signature


@dataclass(frozen=True, slots=True)
class Assignment:
    period_id: str
    verifier_id: str
    due_on: date


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """The document that the verifier signed, as canonical JSON covers it."""

    statement_id: str
    period_id: str
    document: dict[str, Any]
    signature: Signature
