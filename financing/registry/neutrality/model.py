"""Carbon neutrality of a subject over a period: footprint, reductions, residual, matched retirement, certificate.

The order is that of ISO 14068-1:2023 (PAS 2060 was withdrawn on 2025-11-30): what was emitted is quantified by scope,
what was reduced inside the boundary is shown, and only the residual is offset by credits retired for it. A retired
kilogram offsets once: a match uses up part of a retirement, over all claims.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from financing.base.errors import (
    ConflictOfInterest,
    InvalidState,
    NotPermitted,
    QuantityOutOfRange,
    ResidualNotCovered,
    SerialInvalid,
)
from financing.base.quantities import Carbon, Period, business_date, require_utc
from financing.base.signing import Signature, message_of
from financing.ledger.check_digits import with_check, without_check
from financing.registry.retirement.model import Retirement

NUMBER = re.compile(r"SIP-CN-(?P<year>\d{4})-(?P<number>\d{8})")
DOMAIN = "tanxin-neutrality-v1"
STANDARD = "ISO 14068-1:2023"


@dataclass(frozen=True, slots=True)
class FootprintLine:
    """Emissions of one source. `scope` is 1, 2 or 3 of the GHG Protocol; `evidence` says where the figure is from."""

    scope: int
    source: str
    emitted: Carbon
    evidence: str

    def __post_init__(self) -> None:
        if self.scope not in {1, 2, 3}:
            raise QuantityOutOfRange("a scope is 1, 2 or 3", scope=self.scope)
        self.emitted.require_non_negative()


@dataclass(frozen=True, slots=True)
class ReductionLine:
    """What was reduced inside the boundary in the period, against the footprint stated."""

    measure: str
    reduced: Carbon
    evidence: str

    def __post_init__(self) -> None:
        self.reduced.require_non_negative()


@dataclass(frozen=True, slots=True)
class Match:
    """Kilograms of a retirement that offset this claim."""

    certificate_number: str
    quantity: Carbon


@dataclass(frozen=True, slots=True)
class NeutralityClaim:
    """drafted → certified | refused. `subject` is what is neutral: an organisation, an event, a product."""

    claim_id: str
    entity: str
    subject: str
    boundary: str
    period: Period
    footprint: tuple[FootprintLine, ...]
    reductions: tuple[ReductionLine, ...]
    drafted_at: datetime
    matches: tuple[Match, ...] = ()
    state: str = "drafted"
    certifier: str | None = None
    certificate_number: str | None = None
    decided_at: datetime | None = None
    remarks: str = ""
    signature: Signature | None = None

    def __post_init__(self) -> None:
        if not self.footprint:
            raise QuantityOutOfRange("a footprint has at least one line")
        if not self.subject.strip() or not self.boundary.strip():
            raise QuantityOutOfRange("a claim names its subject and boundary")
        if self.reduced > self.emitted:
            raise QuantityOutOfRange("more is reduced than emitted", emitted_kg=self.emitted.kg)

    @property
    def emitted(self) -> Carbon:
        return sum((line.emitted for line in self.footprint), Carbon(0))

    @property
    def reduced(self) -> Carbon:
        return sum((line.reduced for line in self.reductions), Carbon(0))

    @property
    def residual(self) -> Carbon:
        return self.emitted - self.reduced

    @property
    def matched(self) -> Carbon:
        return sum((each.quantity for each in self.matches), Carbon(0))

    def document(self) -> dict[str, Any]:
        """What the certifier signs: everything that the certificate says."""
        return {
            "standard": STANDARD,
            "certificate_number": self.certificate_number,
            "entity": self.entity,
            "subject": self.subject,
            "boundary": self.boundary,
            "from": self.period.start.isoformat(),
            "until": self.period.end.isoformat(),
            "footprint": [[line.scope, line.source, line.emitted.kg, line.evidence] for line in self.footprint],
            "reductions": [[line.measure, line.reduced.kg, line.evidence] for line in self.reductions],
            "residual_kg": self.residual.kg,
            "matches": [[each.certificate_number, each.quantity.kg] for each in self.matches],
            "certifier": self.certifier,
            "decided_at": self.decided_at.isoformat() if self.decided_at else None,
        }

    def message(self) -> bytes:
        return message_of(DOMAIN, self.document())


def match(
    claim: NeutralityClaim, retirement: Retirement, quantity: Carbon, *, usable_by: str, matched_before: Carbon
) -> NeutralityClaim:
    """Use `quantity` of a retirement for the claim; `matched_before` is what claims used of it so far.

    `usable_by` is whom the retirement is for: its beneficiary where that is an organisation, otherwise who retired.
    Raises `InvalidState` once decided, `NotPermitted` when that is another than the claim's entity,
    `QuantityOutOfRange` for more than is left of the retirement, or than is needed.
    """
    require_drafted(claim)
    if claim.entity != usable_by:
        raise NotPermitted("the retirement is another organisation's", certificate_number=retirement.certificate_number)
    left = retirement.quantity - matched_before
    if quantity.require_positive() > left:
        raise QuantityOutOfRange("less is left of this retirement", left_kg=left.kg, asked_kg=quantity.kg)
    if claim.matched + quantity > claim.residual:
        raise QuantityOutOfRange(
            "more would be matched than is residual", residual_kg=claim.residual.kg, matched_kg=claim.matched.kg
        )
    return replace(claim, matches=(*claim.matches, Match(retirement.certificate_number, quantity)))


def certify(claim: NeutralityClaim, certifier: str, number: int, at: datetime) -> NeutralityClaim:
    """The claim as certified, still to be signed.

    Raises `ConflictOfInterest`, `InvalidState`, `ResidualNotCovered` while retirements are less than the residual.
    """
    require_drafted(claim)
    if certifier == claim.entity:
        raise ConflictOfInterest("nobody certifies itself", certifier=certifier)
    if claim.matched < claim.residual:
        raise ResidualNotCovered(
            "the matched retirements are less than the residual",
            residual_kg=claim.residual.kg,
            matched_kg=claim.matched.kg,
        )
    at = require_utc(at)
    return replace(
        claim,
        state="certified",
        certifier=certifier,
        certificate_number=with_check(f"SIP-CN-{business_date(at).year:04d}-{number:08d}"),
        decided_at=at,
    )


def refuse(claim: NeutralityClaim, certifier: str, remarks: str, at: datetime) -> NeutralityClaim:
    """The claim as refused: its matches are free for others."""
    require_drafted(claim)
    return replace(claim, state="refused", certifier=certifier, remarks=remarks, decided_at=at, matches=())


def require_drafted(claim: NeutralityClaim) -> None:
    if claim.state != "drafted":
        raise InvalidState(f"the claim is {claim.state}", claim_id=claim.claim_id)


def require_neutrality_number(text: str) -> str:
    """Return `text` if it can be a certificate's number. Raises `SerialInvalid`."""
    if NUMBER.fullmatch(without_check(text)) is None:
        raise SerialInvalid("not a neutrality certificate of this registry", certificate_number=text)
    return text


def scope_totals(claim: NeutralityClaim) -> Mapping[int, Carbon]:
    """Emissions by scope; scopes without a line are left out, not zero."""
    totals: dict[int, Carbon] = {}
    for line in claim.footprint:
        totals[line.scope] = totals.get(line.scope, Carbon(0)) + line.emitted
    return dict(sorted(totals.items()))
