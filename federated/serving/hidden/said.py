"""What a grid company says of a feature where it is named as a reason, as one number: which, where, in which band."""

from __future__ import annotations

import numpy as np

from federated.errors import AggregationFailed
from federated.models.encoding.ramps import FloatArray
from federated.models.served.hidden import HiddenFunction
from federated.models.served.reasons import Reason
from federated.nodes.schema import PartySchema
from federated.nodes.wording import HIGH, LOW, MISSING, kind_of, reason_of
from federated.privacy.vertical.ring import Ring

KINDS = (HIGH, LOW, MISSING)
# A band ends at whole fifths of the customers.
FIFTH = 20
NUMBER_BITS, PART_BITS = 16, 4


def said_of(function: HiddenFunction, values: FloatArray) -> Ring:
    """What is said of each of a customer's features (features,)."""
    said = []
    for j, value in enumerate(values.tolist()):
        kind = kind_of(value, float(function.reference[j]))
        low, high = (0, 0) if kind == MISSING else function.band(j, value)
        parts = (KINDS.index(kind), low // FIFTH, high // FIFTH)
        said.append(j + sum(part << (NUMBER_BITS + PART_BITS * k) for k, part in enumerate(parts)))
    return np.array(said, dtype=np.uint64)


def reason_said(said: int, party: PartySchema) -> Reason:
    """The reason that this says of a party's columns. Raises `AggregationFailed` for a number that says none."""
    number = said & ((1 << NUMBER_BITS) - 1)
    kind, low, high = ((said >> (NUMBER_BITS + PART_BITS * k)) & ((1 << PART_BITS) - 1) for k in range(3))
    rest = said >> (NUMBER_BITS + 3 * PART_BITS)
    if rest or number >= len(party.lending) or kind >= len(KINDS) or not low <= high <= 100 // FIFTH:
        raise AggregationFailed("what was opened says no reason")
    return reason_of(party, party.lending[number], KINDS[kind], (FIFTH * low, FIFTH * high))
