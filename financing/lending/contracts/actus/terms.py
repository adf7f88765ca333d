"""Terms of a contract, read strictly from the texts of the reference vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from financing.base.business_days import Shift, shift_of
from financing.base.errors import ContractInvalid
from financing.lending.contracts.cycles import Cycle, cycle_of

TYPES = ("PAM", "LAM", "NAM", "ANN", "CEC", "CEG")
SIGNS = {"RPA": 1, "RPL": -1, "BUY": 1, "SEL": -1, "LG": 1, "ST": -1, "RFL": 1, "PFL": -1, "UDL": 1, "UDLP": 1}
MANDATORY = {
    "PAM": ("statusDate", "initialExchangeDate", "maturityDate", "notionalPrincipal", "dayCountConvention"),
    "LAM": ("statusDate", "initialExchangeDate", "notionalPrincipal", "dayCountConvention"),
    "NAM": ("statusDate", "initialExchangeDate", "notionalPrincipal", "dayCountConvention"),
    "ANN": ("statusDate", "initialExchangeDate", "notionalPrincipal", "dayCountConvention"),
    "CEC": ("statusDate",),
    "CEG": ("statusDate",),
}


class Terms:
    """The terms of one contract; a term that is absent or blank is None. Raises `ContractInvalid`."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        if not isinstance(raw, Mapping):
            raise ContractInvalid("terms are names with values", found=type(raw).__name__)
        self._raw = {key: value for key, value in raw.items() if not (isinstance(value, str) and not value.strip())}
        self.kind = self.text("contractType") or ""
        if self.kind not in TYPES:
            raise ContractInvalid("no such contract type", contract_type=self.kind, known=list(TYPES))
        missing = [name for name in MANDATORY[self.kind] if self._raw.get(name) is None]
        if missing:
            raise ContractInvalid("a term is missing", contract_type=self.kind, missing=missing)
        role = self.text("contractRole") or "RPA"
        if role not in SIGNS:
            raise ContractInvalid("no such contract role", role=role)
        self.sign = SIGNS[role]
        self.status = self.moment("statusDate")
        issued, matures = self.moment_or_none("initialExchangeDate"), self.moment_or_none("maturityDate")
        if issued is not None and matures is not None and matures < issued:
            raise ContractInvalid("a contract matures after its initial exchange", matures=str(matures))

    def text(self, name: str) -> str | None:
        value = self._raw.get(name)
        return None if value is None else str(value).strip()

    def raw(self, name: str) -> Any:
        return self._raw.get(name)

    def number_or_none(self, name: str) -> float | None:
        value = self._raw.get(name)
        return None if value is None else number_of(value, name)

    def number(self, name: str, default: float = 0.0) -> float:
        value = self.number_or_none(name)
        return default if value is None else value

    def moment_or_none(self, name: str) -> datetime | None:
        value = self._raw.get(name)
        return None if value is None else moment_of(str(value), name)

    def moment(self, name: str) -> datetime:
        moment = self.moment_or_none(name)
        if moment is None:
            raise ContractInvalid("a term is missing", missing=[name])
        return moment

    def cycle(self, name: str) -> Cycle | None:
        text = self.text(name)
        return cycle_of(text) if text else None

    @property
    def shift(self) -> Shift:
        return shift_of(self.text("businessDayConvention") or "", self.text("calendar") or "")

    @property
    def end_of_month(self) -> bool:
        return (self.text("endOfMonthConvention") or "SD") == "EOM"


def number_of(value: object, name: str) -> float:
    """A finite number from a text or a number. Raises `ContractInvalid`."""
    try:
        number = float(str(value).strip())
    except ValueError as error:
        raise ContractInvalid("a term is no number", term=name, value=str(value)) from error
    if not math.isfinite(number):
        raise ContractInvalid("a term is no finite number", term=name, value=str(value))
    return number


def moment_of(text: str, name: str = "time") -> datetime:
    """A moment from an ISO text, with or without seconds. Raises `ContractInvalid`."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ContractInvalid("a term is no date", term=name, value=text) from error
    return moment.replace(tzinfo=None)


def days_of(text: str | None) -> timedelta:
    """A number of days such as P2D; nothing is none. Raises `ContractInvalid`."""
    if not text:
        return timedelta(0)
    body = text.strip().removeprefix("P").partition("L")[0]
    units = {"D": 1, "W": 7}
    if not body[:-1].isdigit() or body[-1] not in units:
        raise ContractInvalid("a period is P, a number, and D or W", period=text)
    return timedelta(days=int(body[:-1]) * units[body[-1]])
