"""Which features are named as reasons, and what a grid company says of each, in one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.models.encoding.ramps import FloatArray
from federated.models.served.hidden import HiddenFunction
from federated.models.served.reasons import MAX_REASONS, MIN_CONTRIBUTION, POINT, RankedReason, Reason, strength_of
from federated.nodes.schema import PartySchema
from federated.nodes.wording import HIGH, LOW, MISSING, reason_of
from federated.privacy.vertical.hidden_function import OPENED, IntArray
from federated.privacy.vertical.ring import Ring

KINDS = (HIGH, LOW, MISSING)
# A band ends at whole fifths of the customers.
FIFTH = 20
# Standard deviation, in points, of a contribution that came in whole points from two shares.
ROUNDED = 6.0**-0.5
NUMBER_BITS, PART_BITS = 16, 4


def said_of(function: HiddenFunction, values: FloatArray) -> Ring:
    """What is said of each of a customer's features (features,): as `kind_of` and `band` have it."""
    missing, bands = np.isnan(values), function.bands
    kind = np.where(missing, KINDS.index(MISSING), np.where(values >= function.reference, 0, KINDS.index(LOW)))
    low = (bands < values[:, None]).sum(axis=1)
    high = np.where(missing, 0, (bands <= values[:, None]).sum(axis=1) + 1)
    parts = [part << (NUMBER_BITS + PART_BITS * k) for k, part in enumerate((kind, low, high))]
    return np.asarray(np.arange(len(values)) + sum(parts), dtype=np.uint64)


def reason_said(said: int, party: PartySchema) -> Reason | None:
    """The reason that this says of a party's columns; None if it says none.

    A grid company that says nonsense of a feature is not refused for it: it would learn whether the feature was named.
    """
    number = said & ((1 << NUMBER_BITS) - 1)
    kind, low, high = ((said >> (NUMBER_BITS + PART_BITS * k)) & ((1 << PART_BITS) - 1) for k in range(3))
    rest = said >> (NUMBER_BITS + 3 * PART_BITS)
    if rest or number >= len(party.lending) or kind >= len(KINDS) or not low <= high <= 100 // FIFTH:
        return None
    return reason_of(party, party.lending[number], KINDS[kind], (FIFTH * low, FIFTH * high))


def together(total: float, contributions: IntArray, at_reference: float) -> int | None:
    """Strength of what both parties' columns say together: a function's value of `total` points less `contributions`
    of the grid company's columns and what the reference customer has, in points. None where it does not lower the score
    by half a step, beyond what contributions in whole points leave open."""
    found = total - float(contributions.sum()) - at_reference
    unsure = 2.0 * ROUNDED * len(contributions) ** 0.5
    return strength_of(found * POINT) if found * POINT >= MIN_CONTRIBUTION + unsure * POINT else None


def named_places(contributions: IntArray, own: Sequence[RankedReason], prefix: str) -> list[int]:
    """Places of those contributions that are among the four strongest of both parties, by their rule."""
    strongest = np.argsort(-contributions, kind="stable")[:MAX_REASONS]
    ranked: list[tuple[int, str, int, int | None]] = [(-r.strength, r.reason.code, 0, None) for r in own]
    for place in strongest.tolist():
        points = int(contributions[place])
        if points * POINT >= MIN_CONTRIBUTION:
            ranked.append((-strength_of(points * POINT), prefix, -points, place))
    ranked.sort(key=lambda each: each[:3])
    return [place for *_, place in ranked[:MAX_REASONS] if place is not None]


def filled(named: Sequence[int], features: int) -> list[int]:
    """These places and others, up to `OPENED`: how many are named is nobody's to know.

    Which others does not matter: where a bank asks is hidden from the grid company, and what stands there is drawn.
    """
    others = [place for place in range(features) if place not in named]
    places = [*named, *others][:OPENED]
    return [*places, *(places[:1] * (OPENED - len(places)))]
