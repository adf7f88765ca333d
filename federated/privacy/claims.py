"""Who sees what, as data: each claim with mechanism, threat model, attack and the figures that measure it.

The claims are `claims.toml`, dated and cited. A claim names the attack that tried and what it measured, or says that
what it names is seen by design; a figure that no bench has measured has no value, and is not read as safe. This module
states guarantees of others and gives none of its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from federated.errors import CorruptData

Text = tuple[str, str]
UNPROTECTED = "none"


class Party(StrEnum):
    """Who looks."""

    BANK = "bank"
    GRID = "grid"
    OPERATOR = "operator"
    OTHER_BANK = "other_bank"
    SUBJECT = "subject"
    OUTSIDER = "outsider"


class Phase(StrEnum):
    """When: three ways to train vertically or horizontally are phases of their own, for a run takes one of them."""

    ALIGNMENT = "alignment"
    PROTECTED = "protected"
    ZOO = "zoo"
    PRIVATE = "private"
    ROBUST = "robust"
    CALIBRATION = "calibration"
    REGISTRY = "registry"
    SCORING = "scoring"
    INQUIRIES = "inquiries"


class Kind(StrEnum):
    """What a figure is: an attack's success, utility kept, a cost, or what an attack leaves open."""

    ATTACK = "attack"
    UTILITY = "utility"
    COST = "cost"
    EXTRACTION = "extraction"
    INVERSION = "inversion"


@dataclass(frozen=True, slots=True)
class Figure:
    """A field of a bench part, with its unprotected counterpart and the bound that it has to meet.

    `minus_from` names a field of which `protected` and `unprotected` are subtracted. `at_most_field` takes the bound
    from the bench. `bound_on` limits the bound to data whose origin begins with that word, `needs` to a part in which
    a field is at least so large. `origin` is set where a part's own does not say it.
    """

    id: str
    part: str
    protected: str
    kind: Kind
    label: Text
    unprotected: str = ""
    minus_from: str = ""
    at_most: float | None = None
    at_least: float | None = None
    at_most_field: str = ""
    bound_on: str = ""
    needs: tuple[str, float] | None = None
    chance: float | None = None
    origin: str = ""
    miss: Text | None = None

    @property
    def bounded(self) -> bool:
        """Whether there is a bound to meet."""
        return self.at_most is not None or self.at_least is not None or bool(self.at_most_field)

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field of the bench part that is read."""
        named = (self.protected, self.unprotected, self.minus_from, self.at_most_field)
        return tuple(name for name in (*named, self.needs[0] if self.needs else "") if name)


@dataclass(frozen=True, slots=True)
class Claim:
    """What `party` sees in `phase`. `seen` says that it is seen by design; otherwise a mechanism keeps it back.

    `unprotected` is what is seen and nothing but agreements and logs guards: there an attack has nothing to try.
    """

    id: str
    party: Party
    phase: Phase
    about: str
    sees: Text
    mechanism: tuple[str, ...]
    adr: tuple[int, ...]
    threat: Text
    attack: str = ""
    figures: tuple[str, ...] = ()
    seen: bool = False
    unprotected: bool = False

    @property
    def tried(self) -> bool:
        """Whether an attack tried, and a figure says what came of it."""
        return bool(self.attack and self.figures)


@dataclass(frozen=True, slots=True)
class Claims:
    """All of them, since when they hold and where the bounds come from."""

    since: date
    source: str
    claims: tuple[Claim, ...]
    figures: Mapping[str, Figure]

    def of(self, phases: tuple[Phase, ...]) -> tuple[Claim, ...]:
        """The claims about these phases, by party, then in the order in which phases come."""
        parties, times = list(Party), list(Phase)
        own = (claim for claim in self.claims if claim.phase in phases)
        return tuple(sorted(own, key=lambda claim: (parties.index(claim.party), times.index(claim.phase))))


AFTER = (Phase.CALIBRATION, Phase.REGISTRY, Phase.SCORING, Phase.INQUIRIES)


def vertical_phases(*, protected: bool) -> tuple[Phase, ...]:
    """What a registered version went through, and goes through while it scores."""
    return (Phase.ALIGNMENT, Phase.PROTECTED if protected else Phase.ZOO, *AFTER)


@cache
def load_claims() -> Claims:
    """The claims in `claims.toml`. Raises `CorruptData` if they name what is not there."""
    text = resources.files("federated.privacy").joinpath("claims.toml").read_text("utf-8")
    return claims_of(text)


def claims_of(text: str) -> Claims:
    """Read claims from TOML. Raises `CorruptData`."""
    try:
        raw = tomllib.loads(text)
        figures = {entry["id"]: _figure(entry) for entry in raw["figures"]}
        claims = Claims(
            raw["from"], raw["source"], tuple(_claim(entry, raw["threats"]) for entry in raw["claims"]), figures
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CorruptData(f"the privacy claims cannot be read: {error}", file="claims.toml") from error
    untried = [claim.id for claim in claims.claims if not claim.tried and not claim.unprotected]
    if untried:
        raise CorruptData(f"claims that no attack tried: {', '.join(untried)}", file="claims.toml")
    unknown = {name for claim in claims.claims for name in claim.figures} - set(figures)
    if unknown:
        raise CorruptData(f"claims name no such figure: {', '.join(sorted(unknown))}", file="claims.toml")
    return claims


def _pair(given: list[str]) -> Text:
    zh, en = given
    return zh, en


def _figure(entry: dict[str, Any]) -> Figure:
    rest = {name: value for name, value in entry.items() if name not in ("kind", "label", "miss", "needs")}
    needs = entry.get("needs")
    figure = Figure(
        **rest,
        kind=Kind(entry["kind"]),
        label=_pair(entry["label"]),
        miss=_pair(entry["miss"]) if "miss" in entry else None,
        needs=None if needs is None else (needs["field"], float(needs["at_least"])),
    )
    if figure.bounded and figure.miss is None:
        raise ValueError(f"{figure.id} has a bound and no reason for missing it")
    return figure


def _claim(entry: dict[str, Any], threats: dict[str, list[str]]) -> Claim:
    return Claim(
        id=entry["id"],
        party=Party(entry["party"]),
        phase=Phase(entry["phase"]),
        about=entry["about"],
        sees=_pair(entry["sees"]),
        mechanism=tuple(entry["mechanism"]),
        adr=tuple(entry["adr"]),
        threat=_pair(threats[entry["threat"]]),
        attack=entry.get("attack", ""),
        figures=tuple(entry.get("figures", ())),
        seen=entry.get("seen", False),
        unprotected=entry.get("seen", False) and entry["threat"] == UNPROTECTED,
    )
