"""Parties of a network and connections between them, as SVG: banks above, grid companies below, the operator between.

360 units wide, so that what stands in it can be read on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulations.local_network.layout import OPERATOR, SUPERLINK
from simulations.local_network.views import Party, Seen
from simulations.worlds.names import BANKS, EXCHANGE, GRIDS

WIDTH, HEIGHT, BOX_WIDTH, BOX_HEIGHT = 360, 400, 100, 36
# Middles of boxes: nodes stand on a ring, so that no line between two runs behind a third.
PLACES = {
    EXCHANGE: (180, 24),
    BANKS[0]: (56, 168),
    BANKS[1]: (180, 104),
    BANKS[2]: (304, 168),
    OPERATOR: (180, 238),
    GRIDS[0]: (104, 368),
    GRIDS[1]: (256, 368),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A party: its middle, its name, a line under it, and how it is (`state_of`)."""

    name: str
    x: int
    y: int
    line: str
    state: str

    @property
    def left(self) -> float:
        """Of the box."""
        return self.x - BOX_WIDTH / 2

    @property
    def top(self) -> float:
        """Of the box."""
        return self.y - BOX_HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Line:
    """A connection: `met`, `unmet`, `follows` or `trains`, and what it is in words."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str
    says: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes, and lines that are drawn under them."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: int = WIDTH
    height: int = HEIGHT


def picture_of(seen: Seen) -> Picture:
    """What is drawn of a network."""
    parties = {each.name: each for each in seen.parties}
    boxes = [Box(name, *at, _line(parties, name), state_of(parties[name])) for name, at in PLACES.items()]
    return Picture(tuple(boxes), (*_between_nodes(parties), *_from_others(parties)))


def state_of(party: Party) -> str:
    """How a party is: well or wrong, where it says so; it runs, or is off where it has no process."""
    if party.process is None:
        return "off"
    if party.process.wrong is None:
        return "runs"
    return "wrong" if party.process.wrong else "well"


def _line(parties: dict[str, Party], name: str) -> str:
    process = parties[name].process
    if name == OPERATOR and (link := parties.get(SUPERLINK)) is not None and link.process is not None:
        return f"SuperLink {link.process.pid}"
    return "no process now" if process is None else f"process {process.pid}"


def _between_nodes(parties: dict[str, Party]) -> list[Line]:
    nodes = [name for name in PLACES if name in (*BANKS, *GRIDS)]
    found = []
    for number, one in enumerate(nodes):
        for other in nodes[number + 1 :]:
            met = _has_met(parties[one], other) and _has_met(parties[other], one)
            says = f"{one} and {other} {'have met' if met else 'have not met'}"
            found.append(Line(*PLACES[one], *PLACES[other], "met" if met else "unmet", says))
    return found


def _has_met(party: Party, other: str) -> bool:
    process = party.process
    return process is not None and process.standing is not None and other in process.standing["met"]


def _from_others(parties: dict[str, Party]) -> list[Line]:
    follows = [
        Line(*PLACES[EXCHANGE], *PLACES[bank], "follows", f"{EXCHANGE} asks {bank} what it decided")
        for bank in BANKS
        if parties[EXCHANGE].process is not None
    ]
    trains = [
        Line(*PLACES[OPERATOR], *PLACES[node], "trains", f"{OPERATOR} trains with {node}") for node in (*BANKS, *GRIDS)
    ]
    return [*follows, *trains]
