"""Retirement: irreversible use of credits for a beneficiary, with a certificate that anyone can look up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from financing.base.errors import QuantityOutOfRange, SerialInvalid
from financing.base.quantities import Carbon, Period, business_date, require_utc
from financing.ledger.check_digits import with_check, without_check
from financing.ledger.serials import SerialBlock

CERTIFICATE = re.compile(r"SIP-RET-(?P<year>\d{4})-(?P<number>\d{8})")
NUMBER_MAX = 99_999_999


@dataclass(frozen=True, slots=True)
class Retirement:
    """Credits used up: by whom, for whom, for what, which serials. `period` is the time whose emissions they offset."""

    certificate_number: str
    retired_by: str
    beneficiary: str
    purpose: str
    period: Period | None
    blocks: tuple[SerialBlock, ...]
    retired_at: datetime

    @property
    def quantity(self) -> Carbon:
        return sum((block.quantity for block in self.blocks), Carbon(0))

    @property
    def serials(self) -> tuple[str, ...]:
        return tuple(block.serial for block in self.blocks)


def retire(
    *,
    number: int,
    retired_by: str,
    beneficiary: str,
    purpose: str,
    period: Period | None,
    blocks: tuple[SerialBlock, ...],
    at: datetime,
) -> Retirement:
    """A retirement of `blocks`. Raises `QuantityOutOfRange` when there is nothing to retire, a serial is named twice,
    or beneficiary or purpose is blank."""
    if not blocks:
        raise QuantityOutOfRange("nothing to retire")
    if not beneficiary.strip() or not purpose.strip():
        raise QuantityOutOfRange("a retirement names its beneficiary and purpose")
    _require_disjoint(blocks)
    at = require_utc(at)
    return Retirement(certificate_number(at, number), retired_by, beneficiary, purpose, period, blocks, at)


def certificate_number(at: datetime, number: int) -> str:
    """`SIP-RET-{year}-{number, 8 digits}-{check}`; the year is China's calendar year at `at`, `number` from 1."""
    if not 1 <= number <= NUMBER_MAX:
        raise QuantityOutOfRange("a certificate number has at most eight digits", number=number)
    return with_check(f"SIP-RET-{business_date(at).year:04d}-{number:08d}")


def require_certificate_number(text: str) -> str:
    """Return `text` if it can be a certificate number. Raises `SerialInvalid` for a wrong form or check digits."""
    if CERTIFICATE.fullmatch(without_check(text)) is None:
        raise SerialInvalid("not a certificate number of this registry", certificate_number=text)
    return text


def _require_disjoint(blocks: tuple[SerialBlock, ...]) -> None:
    ordered = sorted(blocks, key=lambda block: (block.issuance_id, block.first_kg))
    for before, after in pairwise(ordered):
        if before.issuance_id == after.issuance_id and after.first_kg <= before.last_kg:
            raise QuantityOutOfRange("a kilogram is named twice", serials=[before.serial, after.serial])
