"""Make a package, put credits in for units, and take credits out for units again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from financing.base.commands import Command, Id, Kilograms, Text, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, NotEligible, NotPermitted
from financing.base.quantities import Carbon, business_date
from financing.ledger.accounts import AccountKey, AccountKind, Asset, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.serials import SerialBlock
from financing.registry.packages.bulk import package_holdings
from financing.registry.packages.model import Criteria, Package, Redemption, require_eligible, taken
from financing.registry.regions import own_region
from financing.registry.retirement.commands import Purpose, record_retirement
from financing.registry.retirement.model import Retirement
from financing.registry.unit import RegistryUnit

Year = Annotated[int, Field(strict=True, ge=2000, le=2100)]


class PackageCriteria(Command):
    """Empty lists take any. Methodologies are codes without version, e.g. PV."""

    methodologies: list[Id] = Field(default_factory=list, max_length=50)
    regions: list[Text] = Field(default_factory=list, max_length=50)
    vintage_first: Year = 2000
    vintage_last: Year = 2100
    capacity_w_max: Annotated[int, Field(strict=True, gt=0, le=10**12)] | None = None


class MakePackage(Command):
    code: str = Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,31}$")
    name: Text
    asset_class: Id = "PHCER"
    criteria: PackageCriteria = PackageCriteria()
    redemption: Literal["pro_rata", "oldest_first"] = "pro_rata"


class DepositCredits(Command):
    """Credits of one issuance; or, without it, every free holding that the package takes."""

    issuance_id: Id | None = None
    quantity_kg: Kilograms | None = None


class RedeemUnits(Command):
    quantity_kg: Kilograms


class RetireUnits(Command):
    quantity_kg: Kilograms
    beneficiary: Text
    purpose: Text


@dataclass(frozen=True, slots=True)
class Packed:
    """Credits that went into custody, and the units made for them (kg each way)."""

    entry_id: int
    issuances: int
    quantity: Carbon


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Serials that came out of custody for units."""

    entry_id: int
    quantity: Carbon
    blocks: tuple[SerialBlock, ...]


@use_case
def make_package(unit: RegistryUnit, context: Context, command: MakePackage) -> Package:
    """Define a standard product, as the registry that will keep its credits.

    It takes credits of that registry only. Raises `NotPermitted` for a registry without a region, `AlreadyExists`,
    `ParameterMissing` for an unknown asset class, `SerialInvalid`.
    """
    own_region(context)
    context.parameters.collateral_class(command.asset_class, business_date(context.at))
    package = Package(
        package_id=context.new_id("pkg"),
        code=command.code,
        name=command.name,
        registry_id=context.actor.id,
        asset_class=command.asset_class,
        state="open",
        criteria=Criteria(
            tuple(command.criteria.methodologies),
            tuple(command.criteria.regions),
            command.criteria.vintage_first,
            command.criteria.vintage_last,
            command.criteria.capacity_w_max,
        ),
        redemption=Redemption(command.redemption),
    )
    unit.packages.add(package, context.at)
    return package


@use_case
def close_package(unit: RegistryUnit, context: Context, package_id: str) -> Package:
    """Take no more credits in; units stay tradable and redeemable."""
    package = unit.packages.get(package_id)
    context.require_party(package.registry_id)
    if package.state != "open":
        raise InvalidState("the package is closed", package_id=package_id)
    unit.packages.close(package_id)
    return unit.packages.get(package_id)


@use_case
def deposit_credits(unit: RegistryUnit, context: Context, package_id: str, command: DepositCredits) -> Packed:
    """Give credits into custody for units: of one issuance, or every free holding that the package takes.

    Raises as `put_in` and `put_everything_in`, and `NotPermitted` for an issuance without a quantity or the reverse.
    """
    if command.issuance_id is None and command.quantity_kg is None:
        return put_everything_in(unit, context, package_id)
    if command.issuance_id is None or command.quantity_kg is None:
        raise NotPermitted("issuance_id and quantity_kg come together, or neither does")
    return put_in(unit, context, package_id, command.issuance_id, command.quantity_kg)


def put_in(unit: RegistryUnit, context: Context, package_id: str, issuance_id: str, quantity: Carbon) -> Packed:
    """Give credits of the actor's holding into custody and get as many units.

    Raises `NotEligible`, `CreditsPledged`, `CreditsFrozen`, `InsufficientBalance`, `NotFound`.
    """
    package = unit.packages.get(package_id)
    require_eligible(package, unit.packages.candidate(issuance_id))
    asset, units = Asset.credits(issuance_id), Asset.units(package_id)
    minted = Leg(AccountKey(package.registry_id, AccountKind.ISSUED, units), holding(context.actor.id, units), quantity)
    moved = post_entry(
        unit,
        context,
        EntryKind.PACKAGING,
        package_id,
        [
            Leg(
                holding(context.actor.id, asset),
                AccountKey(package.registry_id, AccountKind.PACKAGED, asset, package_id),
                quantity,
            ),
            minted,
        ],
    )
    return Packed(moved.entry_id, 1, quantity)


def put_everything_in(unit: RegistryUnit, context: Context, package_id: str) -> Packed:
    """Give every free holding of the actor that the package takes into custody, in one entry, set-based.

    Holdings of which a part is set aside or frozen stay out. Raises `NotEligible` when there is none.
    """
    package = unit.packages.get(package_id)
    if package.state != "open":
        raise NotEligible("the package does not take these credits: state", package=package.code, criterion="state")
    done = package_holdings(
        unit.connection, unit.packages.eligible(package, context.actor.id), package, context.actor.id, context.at
    )
    return Packed(done.entry_id, done.issuances, Carbon(done.quantity_kg))


@use_case
def redeem(unit: RegistryUnit, context: Context, package_id: str, command: RedeemUnits) -> Redeemed:
    """Give units back and get the credits behind them, by the package's own rule.

    Raises `InsufficientBalance` for units the actor does not hold, `CreditsFrozen` when the rule takes frozen ones.
    """
    package = unit.packages.get(package_id)
    return _take_out(unit, context, package, command.quantity_kg, AccountKind.HOLDING, EntryKind.REDEMPTION, package_id)


@use_case
def retire_units(unit: RegistryUnit, context: Context, package_id: str, command: RetireUnits) -> Retirement:
    """Retire the credits behind units under one certificate: straight out of custody, so that just these are used up.

    Raises as `redeem`.
    """
    number = unit.retirements.next_number()
    out = _take_out(
        unit,
        context,
        unit.packages.get(package_id),
        command.quantity_kg,
        AccountKind.RETIRED,
        EntryKind.RETIREMENT,
        f"retirement:{number}",
    )
    purpose = Purpose(command.beneficiary, command.purpose)
    return record_retirement(unit, context, number, out.blocks, out.entry_id, purpose)


def _take_out(
    unit: RegistryUnit,
    context: Context,
    package: Package,
    quantity: Carbon,
    into: AccountKind,
    kind: EntryKind,
    reference: str,
) -> Redeemed:
    """Give units back, and move the credits that the package's rule picks to an account of the actor, in one entry."""
    custody = unit.packages.custody(package)
    held = np.array([each.quantity.kg for each in custody], dtype=np.int64)
    shares = taken(package.redemption, held, quantity.kg)
    owner, units = context.actor.id, Asset.units(package.package_id)
    legs = [Leg(holding(owner, units), AccountKey(package.registry_id, AccountKind.ISSUED, units), quantity)]
    for each, share in zip(custody, shares.tolist(), strict=True):
        if share:
            asset = Asset.credits(each.issuance_id)
            kept = AccountKey(package.registry_id, AccountKind.PACKAGED, asset, package.package_id)
            legs.append(Leg(kept, AccountKey(owner, into, asset), Carbon(share)))
    booked = post_entry(unit, context, kind, reference, legs)
    return Redeemed(booked.entry_id, quantity, booked.blocks)
