"""Credits to another region: locked at home, minted there, never more there than was locked here.

locked → minted | refused. Under recognition a kilogram is a kilogram. Under re-quantification the credits are worth
what the same energy avoids at the other region's grid factor, rounded down, and at most what was locked.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from pydantic import BaseModel

from financing.base.errors import InvalidState, NotEligible, QuantityOutOfRange
from financing.base.parameters.records import GridFactor, Recognition
from financing.base.quantities import Carbon, floor_div
from financing.base.storage.records import Fact


class SentCredits(BaseModel):
    """What a transfer and its answer share: whose credits leave which registry for which, and under what mode."""

    transfer_id: str
    owner_id: str
    from_registry: str
    to_registry: str
    issuance_id: str
    mode: str
    serials: tuple[str, ...]
    minted_issuance_id: str | None
    locked_at: datetime


class Transfer(SentCredits, Fact):
    """`terms` are the file hashes of the recognition and factors that `minted` was worked out with."""

    number: int
    quantity: Carbon
    mintable: Carbon
    terms: tuple[tuple[str, str], ...]
    state: str = "locked"
    minted: Carbon | None = None
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
