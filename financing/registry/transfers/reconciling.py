"""What crossed between two registries with books of their own, counted on either side and held against each other."""

from __future__ import annotations

from dataclasses import dataclass

from financing.registry.unit import RegistryUnit


@dataclass(frozen=True, slots=True)
class TransferCounts:
    """One registry's count of what crossed to and from another: transfers by id with the kilograms that they took here
    (0 while on the way, or refused), and their sums."""

    registry: str
    other: str
    exported: dict[str, int]
    imported: dict[str, int]
    on_the_way: list[str]
    exported_kg: int
    imported_kg: int


def counts_of(unit: RegistryUnit, registry: str, other: str) -> TransferCounts:
    """What a registry's books say of transfers to and from another."""
    exported: dict[str, int] = {}
    on_the_way = []
    for export in unit.transfers.told(registry, other):
        sent = unit.transfers.get(export.transfer_id)
        exported[sent.transfer_id] = sent.minted.kg if sent.minted is not None else 0
        if sent.state == "locked":
            on_the_way.append(sent.transfer_id)
    imported = {
        receipt.transfer_id: int(receipt.document["minted_kg"])
        for receipt in unit.transfers.told(other, registry, kind="receipt")
    }
    return TransferCounts(
        registry, other, exported, imported, on_the_way, sum(exported.values()), sum(imported.values())
    )


def differences(ours: TransferCounts, theirs: TransferCounts) -> list[str]:
    """What two registries' counts of the same transfers contradict each other in; what is on its way contradicts
    nothing yet. Empty: no kilogram counts in both books, none is lost."""
    if (ours.registry, ours.other) != (theirs.other, theirs.registry):
        return [f"{ours.registry} counts with {ours.other}, and {theirs.registry} with {theirs.other}"]
    found = [
        f"{each.registry}: the sums are not those of the transfers"
        for each in (ours, theirs)
        if (each.exported_kg, each.imported_kg) != (sum(each.exported.values()), sum(each.imported.values()))
    ]
    for home, away in ((ours, theirs), (theirs, ours)):
        for transfer_id in sorted(home.exported.keys() | away.imported.keys()):
            left, came = home.exported.get(transfer_id), away.imported.get(transfer_id)
            if left is None:
                found.append(f"{transfer_id}: {away.registry} minted {came} kg, and {home.registry} never told of it")
            elif transfer_id not in home.on_the_way and left != (came or 0):
                found.append(f"{transfer_id}: {left} kg left {home.registry}, {came or 0} kg came to {away.registry}")
    return found
