"""What happened to a model's versions, and what follows from it: a pure fold of events into a standing.

An approval lasts a year: the US supervisors' guidance on model risk asks for a review of each model "at least annually"
(Federal Reserve SR 11-7 / OCC 2011-12, April 2011, section V), so one that nobody looked at for a year stops scoring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from federated.errors import ModelCorrupt, VersionNotFound

APPROVAL_DAYS = 365


class Kind(StrEnum):
    """What was done."""

    REGISTERED = "registered"
    ENDORSED = "endorsed"
    APPROVED = "approved"
    REJECTED = "rejected"
    NOMINATED = "nominated"
    APPOINTED = "appointed"
    WITHDRAWN = "withdrawn"
    ROLLED_BACK = "rolled_back"
    RETIRED = "retired"


class Role(StrEnum):
    """The champion's score is answered; the challenger's is only recorded beside it."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class Status(StrEnum):
    """Where a version stands at an instant. Rejected and retired are final."""

    REGISTERED = "registered"
    APPROVED = "approved"
    EXPIRED = "expired"
    REJECTED = "rejected"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that someone did to a version at `at` (UTC). Numbers count from 1 within a model.

    `command` names the request behind it: the same request again finds this event instead of making another.
    `details` are machine-readable facts (`role`; at registration the hashes of manifest and weights).
    """

    number: int
    model: str
    version: str
    kind: Kind
    by: str
    at: datetime
    note: str = ""
    command: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def role(self) -> Role | None:
        """The role that the version was appointed to, or taken out of; None for what concerns no role."""
        role = self.details.get("role")
        return None if role is None else Role(role)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What is known of one version; a date that has not come about is None. `valid_until` is excluded.

    `endorsed_by` are the banks that said yes since the last approval, while others have not yet.
    """

    version: str
    registered_by: str
    registered_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    valid_until: datetime | None = None
    rejected_at: datetime | None = None
    retired_at: datetime | None = None
    endorsed_by: tuple[str, ...] = ()

    def status(self, at: datetime) -> Status:
        """Where this version stands at `at`."""
        if self.rejected_at is not None:
            return Status.REJECTED
        if self.retired_at is not None:
            return Status.RETIRED
        if self.valid_until is None:
            return Status.REGISTERED
        return Status.APPROVED if at < self.valid_until else Status.EXPIRED


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The standing of a model's versions after `events`. `champions` ends with the one that scores.

    A rollback takes the champion it leaves off that list, so that the next one goes further back, not to and fro.
    `nominated` is the version that one bank, named after it, would have score, and waits for another's word.
    """

    model: str
    versions: Mapping[str, VersionRecord] = field(default_factory=dict)
    champions: tuple[str, ...] = ()
    challenger: str | None = None
    nominated: tuple[str, str] | None = None
    events: tuple[Event, ...] = ()

    @property
    def champion(self) -> str | None:
        """The version appointed to score, whether or not its approval still holds."""
        return self.champions[-1] if self.champions else None

    def record(self, version: str) -> VersionRecord:
        """What is known of a version. Raises `VersionNotFound`."""
        try:
            return self.versions[version]
        except KeyError:
            raise VersionNotFound(f"no version of {self.model} is registered under this name") from None

    def status(self, version: str, at: datetime) -> Status:
        """Where a version stands at `at`. Raises `VersionNotFound`."""
        return self.record(version).status(at)

    def role(self, version: str) -> Role | None:
        """The role a version holds now, or None."""
        if version == self.champion:
            return Role.CHAMPION
        return Role.CHALLENGER if version == self.challenger else None

    def nominated_by(self, version: str) -> str | None:
        """The bank that would have this version score while no other has agreed, or None."""
        return self.nominated[1] if self.nominated and self.nominated[0] == version else None

    def rollback_target(self, at: datetime) -> int | None:
        """Index in `champions` of the latest earlier champion that may still score, or None."""
        for i in reversed(range(len(self.champions) - 1)):
            if self.champions[i] != self.champion and self.status(self.champions[i], at) is Status.APPROVED:
                return i
        return None


def fold(model: str, events: Iterable[Event]) -> Lifecycle:
    """The standing after all events, in order. Raises `ModelCorrupt` for one that cannot follow those before it."""
    standing = Lifecycle(model)
    for event in events:
        if event.model != model or event.number != len(standing.events) + 1:
            raise ModelCorrupt(f"event {event.number} of {event.model} does not follow", model=model)
        try:
            standing = replace(_apply(standing, event), events=(*standing.events, event))
        except (VersionNotFound, KeyError, ValueError) as error:
            raise ModelCorrupt(f"event {event.number} of {model} cannot be followed: {error}", model=model) from error
    return standing


def _apply(standing: Lifecycle, event: Event) -> Lifecycle:  # noqa: PLR0911 (one for each kind of event)
    version, at = event.version, event.at
    match event.kind:
        case Kind.REGISTERED:
            return _with(standing, VersionRecord(version, event.by, at))
        case Kind.ENDORSED:
            record = standing.record(version)
            return _with(standing, replace(record, endorsed_by=(*record.endorsed_by, event.by)))
        case Kind.APPROVED:
            until = at + timedelta(days=APPROVAL_DAYS)
            # An approval anew asks for two words anew.
            others = None if standing.nominated_by(version) else standing.nominated
            return _with(
                replace(standing, nominated=others),
                replace(
                    standing.record(version), approved_by=event.by, approved_at=at, valid_until=until, endorsed_by=()
                ),
            )
        case Kind.REJECTED | Kind.RETIRED:
            return _end(standing, event)
        case Kind.WITHDRAWN:
            return replace(standing, challenger=None)
        case Kind.NOMINATED:
            return replace(standing, nominated=(standing.record(version).version, event.by))
        case Kind.APPOINTED:
            return _appoint(standing, version, Role(event.details["role"]))
        case Kind.ROLLED_BACK:
            earlier = standing.champions[:-1]
            kept = earlier[: len(earlier) - earlier[::-1].index(version)]
            return replace(standing, champions=kept, challenger=_unless(standing.challenger, version), nominated=None)


def _with(standing: Lifecycle, record: VersionRecord) -> Lifecycle:
    return replace(standing, versions={**standing.versions, record.version: record})


def _end(standing: Lifecycle, event: Event) -> Lifecycle:
    record = standing.record(event.version)
    if event.kind is Kind.REJECTED:
        record = replace(record, rejected_at=event.at)
    else:
        record = replace(record, retired_at=event.at)
    challenger = _unless(standing.challenger, event.version)
    nominated = standing.nominated if standing.nominated and standing.nominated[0] != event.version else None
    return _with(replace(standing, challenger=challenger, nominated=nominated), record)


def _appoint(standing: Lifecycle, version: str, role: Role) -> Lifecycle:
    standing.record(version)
    if role is Role.CHALLENGER:
        return replace(standing, challenger=version)
    champions = (*standing.champions, version)
    return replace(standing, champions=champions, challenger=_unless(standing.challenger, version), nominated=None)


def _unless(challenger: str | None, version: str) -> str | None:
    return None if challenger == version else challenger
