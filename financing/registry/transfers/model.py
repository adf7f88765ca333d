"""Credits to another region: locked at home, minted there, never more there than was locked here.

locked → minted | refused. Under recognition a kilogram is a kilogram. Under re-quantification the credits are worth
what the same energy avoids at the other region's grid factor, rounded down, and at most what was locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from financing.base.errors import InvalidState, NotEligible, QuantityOutOfRange
from financing.base.parameters.records import GridFactor, Recognition
from financing.base.quantities import Carbon, floor_div


@dataclass(frozen=True, slots=True)
class Transfer:
    """`terms` are the file hashes of the recognition and factors that `minted` was worked out with."""

    transfer_id: str
    number: int
    owner_id: str
    from_registry: str
    to_registry: str
    issuance_id: str
    quantity: Carbon
    mode: str
    mintable: Carbon
    serials: tuple[str, ...]
    terms: tuple[tuple[str, str], ...]
    locked_at: datetime
    state: str = "locked"
    minted: Carbon | None = None
    minted_issuance_id: str | None = None
    closed_at: datetime | None = None


def mintable(
    quantity: Carbon, recognition: Recognition, methodology: str, home: GridFactor, abroad: GridFactor
) -> Carbon:
    """What the other region mints for `quantity`.

    Raises `NotEligible` for a methodology it does not take, `QuantityOutOfRange` when nothing would be left.
    """
    if recognition.methodologies and methodology not in recognition.methodologies:
        raise NotEligible(
            "the other region does not take credits of this methodology",
            methodology=methodology,
            to_region=recognition.to_region,
        )
    quantity.require_positive()
    if recognition.mode == "recognise":
        return quantity
    kilograms = floor_div(Fraction(quantity.kg * abroad.mg_per_kwh, home.mg_per_kwh))
    if kilograms <= 0:
        raise QuantityOutOfRange("nothing would be left at the other region's factor", quantity_kg=quantity.kg)
    return Carbon(min(kilograms, quantity.kg))


def require_locked(transfer: Transfer) -> None:
    if transfer.state != "locked":
        raise InvalidState(f"the transfer is {transfer.state}", transfer_id=transfer.transfer_id)
