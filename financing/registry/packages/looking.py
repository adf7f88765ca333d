"""Looking into the registry without changing it: a serial's issuance, what a package is made of."""

from __future__ import annotations

from financing.base.errors import NotFound
from financing.base.storage.paging import ALL, Page, Window
from financing.ledger.serials import SerialText, parse_serial
from financing.registry.credits.model import Issuance
from financing.registry.packages.model import Constituent
from financing.registry.unit import RegistryUnit


def find_serial(unit: RegistryUnit, serial: str) -> tuple[Issuance, SerialText]:
    """The issuance that a serial number belongs to. Raises `SerialInvalid`, and `NotFound` when it was never issued."""
    text = parse_serial(serial)
    issuance = unit.issuances.of_serial(text)
    if issuance is None or text.last_kg > issuance.quantity.kg:
        raise NotFound("no such serial was issued", serial=serial)
    return issuance, text


def look_through(unit: RegistryUnit, package_id: str, *, window: Window = ALL) -> Page[tuple[Constituent, list[str]]]:
    """Constituents, oldest first, with the serial numbers in custody."""
    package = unit.packages.get(package_id)

    def numbered(constituents: list[Constituent]) -> list[tuple[Constituent, list[str]]]:
        serials = unit.packages.serials(package, None if window == ALL else [each.issuance_id for each in constituents])
        return [(each, serials.get(each.issuance_id, [])) for each in constituents]

    return unit.packages.custody(package, window=window).map(numbered)
