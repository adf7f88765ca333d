"""A bank decides about a model version: the same checks behind the API and the console."""

from __future__ import annotations

from credit_api.app.wiring import Parts
from federated.errors import ModelNotFound
from federated.governance.decisions import Act
from federated.governance.lifecycle import Event, Role


def approve(parts: Parts, version: str, act: Act) -> Event:
    """Approve, as one of the banks that took part. Raises what `decisions.approve` refuses, and `NotPermitted`."""
    parts.network.oversight.require_participant(version, act.by)
    return parts.network.oversight.governance.approve(version, act)


def reject(parts: Parts, version: str, act: Act) -> Event:
    """Turn a version down for good. Raises what `decisions.reject` refuses, and `NotPermitted`."""
    parts.network.oversight.require_participant(version, act.by)
    return parts.network.oversight.governance.reject(version, act)


def appoint(parts: Parts, version: str, role: Role | None, act: Act) -> Event:
    """Give a version a role; None takes the challenger out of its own.

    Raises what `decisions.appoint` and `decisions.withdraw_challenger` refuse, and `NotPermitted`.
    """
    oversight = parts.network.oversight
    if role is not Role.CHAMPION or act.by not in displaced_by(parts):
        oversight.require_participant(version, act.by)
    if role is None:
        return oversight.governance.withdraw_challenger(version, act)
    return oversight.governance.appoint(version, role, act)


def displaced_by(parts: Parts) -> frozenset[str]:
    """The banks whose customers the present champion scores: they have a word in what displaces it."""
    oversight = parts.network.oversight
    champion = oversight.lifecycle().champion
    return frozenset() if champion is None else oversight.governance.manifest(champion).banks


def retire(parts: Parts, version: str, act: Act) -> Event:
    """Take a version out of use for good. Raises what `decisions.retire` refuses, and `NotPermitted`."""
    parts.network.oversight.require_participant(version, act.by)
    return parts.network.oversight.governance.retire(version, act)


def roll_back(parts: Parts, act: Act) -> Event:
    """Return to the champion before, as a bank that took part in the present one.

    Raises `NothingToRollBack`, `ModelNotFound`, `NotPermitted`, `InvalidTime`.
    """
    oversight = parts.network.oversight
    champion = oversight.lifecycle().champion
    if champion is None:
        raise ModelNotFound("no champion was appointed")
    oversight.require_participant(champion, act.by)
    return oversight.governance.roll_back(act)
