"""Who may do what to a version when. Pure: each looks at the standing and returns the next event, or refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from federated.consent.record import utc
from federated.errors import (
    InvalidTime,
    ModelExists,
    ModelInUse,
    NothingToRollBack,
    NotPermitted,
    SecondPersonRequired,
    VersionFinal,
    VersionNotApproved,
    VersionNotFound,
)
from federated.governance.lifecycle import Event, Kind, Lifecycle, Role, Status, VersionRecord

FINAL = (Status.REJECTED, Status.RETIRED)


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, when (UTC), with what note, and the request behind it (see `Event.command`); `evidence` is kept with
    the event, as what proves later who it was."""

    by: str
    at: datetime
    note: str = ""
    command: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))


def register(standing: Lifecycle, act: Act, version: str, hashes: Mapping[str, str]) -> Event:
    """Enter a published version. Raises `ModelExists`, `InvalidTime`."""
    if version in standing.versions:
        raise ModelExists(f"{standing.model} {version} is registered already", version=version)
    return _event(standing, act, version, Kind.REGISTERED, hashes)


def approve(standing: Lifecycle, act: Act, version: str, banks: frozenset[str]) -> Event:
    """Say yes to a version, or to it anew. With the yes of the last of `banks`, those whose customers it scores, it is
    approved for `APPROVAL_DAYS` from then; until then each bank's word is an endorsement. One no (`reject`) ends it.

    Raises `SecondPersonRequired` for whoever registered it and for a bank that said yes already, `NotPermitted` for who
    is none of the banks, `VersionFinal`, `VersionNotFound`, `InvalidTime`.
    """
    record = _open(standing, act, version)
    if act.by == record.registered_by:
        raise SecondPersonRequired("whoever registered a version cannot approve it", version=version, by=act.by)
    if act.by not in banks:
        raise NotPermitted(f"only the banks of {version} approve it", version=version)
    said = {*record.endorsed_by, act.by}
    missing = sorted(banks - said - {record.registered_by})
    if act.by in record.endorsed_by:
        waits = ", ".join(missing)
        raise SecondPersonRequired(f"this bank has approved; {waits} has not yet", version=version, by=act.by)
    if missing:
        return _event(standing, act, version, Kind.ENDORSED, {"waits_for": " ".join(missing)})
    return _event(standing, act, version, Kind.APPROVED, {"banks": " ".join(sorted(said))})


def reject(standing: Lifecycle, act: Act, version: str) -> Event:
    """Turn a version down for good; a challenger leaves its role with it.

    Whoever registered it may take it back this way: only an approval needs another person. Raises as `retire`.
    """
    _open(standing, act, version)
    _require_not_champion(standing, version)
    return _event(standing, act, version, Kind.REJECTED)


def appoint(standing: Lifecycle, act: Act, version: str, role: Role, banks: frozenset[str]) -> Event:
    """Give an approved version a role that it does not hold; the champion cannot be its own challenger.

    A champion answers for the customers of all `banks`: where there are several, the first one's word nominates it and
    another's appoints it. Raises `SecondPersonRequired` for the same bank's second word, `VersionNotApproved`,
    `ModelInUse`, `VersionFinal`, `VersionNotFound`, `InvalidTime`.
    """
    record = _open(standing, act, version)
    if record.status(act.at) is not Status.APPROVED:
        until = record.valid_until
        why = "was never approved" if until is None else f"was approved until {until.isoformat()}"
        raise VersionNotApproved(f"{standing.model} {version} {why}", version=version)
    held = standing.role(version)
    if held is role or held is Role.CHAMPION:
        raise ModelInUse(f"{version} is {held} already", version=version, role=held)
    kind = Kind.APPOINTED
    if role is Role.CHAMPION and len(banks) > 1:
        if standing.nominated == (version, act.by):
            raise SecondPersonRequired("this bank has nominated; another appoints", version=version, by=act.by)
        if standing.nominated is None or standing.nominated[0] != version:
            kind = Kind.NOMINATED
    return _event(standing, act, version, kind, {"role": role.value})


def withdraw_challenger(standing: Lifecycle, act: Act, version: str) -> Event:
    """End a challenger's comparison without a change of champion. Raises `VersionNotFound` if it is no challenger."""
    if standing.challenger != version:
        raise VersionNotFound(f"{version} is not the challenger of {standing.model}", challenger=standing.challenger)
    return _event(standing, act, version, Kind.WITHDRAWN)


def roll_back(standing: Lifecycle, act: Act) -> Event:
    """Return to the latest earlier champion that is still approved, on one bank's word: it is the brake, and all banks
    approved where it leads. Raises `NothingToRollBack`, `InvalidTime`."""
    target = standing.rollback_target(act.at)
    if target is None:
        raise NothingToRollBack(f"no earlier champion of {standing.model} is still approved", model=standing.model)
    left = standing.champion or ""
    return _event(standing, act, standing.champions[target], Kind.ROLLED_BACK, {"left": left})


def retire(standing: Lifecycle, act: Act, version: str) -> Event:
    """Take a version out of use for good; a challenger leaves its role with it.

    Raises `ModelInUse` for the champion, which another must replace first, `VersionFinal`, `VersionNotFound`.
    """
    _open(standing, act, version)
    _require_not_champion(standing, version)
    return _event(standing, act, version, Kind.RETIRED)


def _open(standing: Lifecycle, act: Act, version: str) -> VersionRecord:
    record = standing.record(version)
    status = record.status(act.at)
    if status in FINAL:
        raise VersionFinal(f"{standing.model} {version} is {status}: that is final", version=version, status=status)
    return record


def _require_not_champion(standing: Lifecycle, version: str) -> None:
    if version == standing.champion:
        raise ModelInUse(f"{version} scores: appoint another champion first", version=version, role=Role.CHAMPION)


def _event(standing: Lifecycle, act: Act, version: str, kind: Kind, details: Mapping[str, str] | None = None) -> Event:
    last = standing.events[-1] if standing.events else None
    if last is not None and act.at < last.at:
        raise InvalidTime(f"{standing.model}: event {last.number} happened after this time", last=last.at.isoformat())
    number = len(standing.events) + 1
    facts = {**act.evidence, **(details or {})}
    return Event(number, standing.model, version, kind, act.by, act.at, act.note, act.command, facts)
