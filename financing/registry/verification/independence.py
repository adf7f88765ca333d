"""Who may verify a project: accredited for its methodology on the day, and independent of everyone with a stake."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from financing.base.errors import AccreditationMissing, ConflictOfInterest


@dataclass(frozen=True, slots=True)
class Accreditation:
    """A certifier may verify a methodology (by code, all versions) from `valid_from` until before `valid_until`."""

    organisation_id: str
    methodology: str
    valid_from: date
    valid_until: date | None
    source: str

    def covers(self, organisation_id: str, methodology: str, on: date) -> bool:
        held = self.valid_from <= on and (self.valid_until is None or on < self.valid_until)
        return held and (self.organisation_id, self.methodology) == (organisation_id, methodology)


@dataclass(frozen=True, slots=True)
class Relation:
    """Two organisations declared to be of one group (ownership, management or a standing advisory contract)."""

    first_id: str
    second_id: str


@dataclass(frozen=True, slots=True)
class Stakes:
    """Everyone with an interest in the period's result."""

    owner: str
    developed_by: tuple[str, ...]
    holders: frozenset[str]


def require_accredited(
    verifier: str, methodology: str, on: date, accreditations: Iterable[Accreditation]
) -> Accreditation:
    """The accreditation that covers it. Raises `AccreditationMissing`."""
    for each in accreditations:
        if each.covers(verifier, methodology, on):
            return each
    raise AccreditationMissing(
        "the certifier is not accredited for this methodology", verifier=verifier, methodology=methodology, on=str(on)
    )


def group_of(organisation_id: str, relations: Collection[Relation]) -> frozenset[str]:
    """The organisation with all that it is related to, directly or through others."""
    group, waiting = {organisation_id}, [organisation_id]
    while waiting:
        here = waiting.pop()
        for relation in relations:
            pair = {relation.first_id, relation.second_id}
            if here in pair:
                fresh = pair - group
                group |= fresh
                waiting += fresh
    return frozenset(group)


def require_independent(verifier: str, stakes: Stakes, relations: Collection[Relation]) -> None:
    """Raise `ConflictOfInterest` if the verifier or anyone of its group owns, developed or holds of the project."""
    group = group_of(verifier, relations)
    reasons = {
        "a project is not verified by its owner or the owner's group": group & {stakes.owner},
        "a project is not verified by whoever developed it": group & set(stakes.developed_by),
        "a project is not verified by a holder of its credits": group & stakes.holders,
    }
    for reason, who in reasons.items():
        if who:
            raise ConflictOfInterest(reason, verifier=verifier, related=sorted(who))
