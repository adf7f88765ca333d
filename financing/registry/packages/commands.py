"""Make a package, put credits in for units, and take credits out for units again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from financing.base.context import Context
from financing.base.errors import InvalidState, NotEligible
from financing.base.quantities import Carbon, business_date
from financing.ledger.accounts import AccountKey, AccountKind, Asset, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.serials import SerialBlock
from financing.registry.packages.bulk import package_holdings
from financing.registry.packages.model import (
    Criteria,
    Package,
    Redemption,
    require_eligible,
    taken,
)
from financing.registry.retirement.commands import Purpose, record_retirement
from financing.registry.retirement.model import Retirement
from financing.registry.unit import RegistryUnit


@dataclass(frozen=True, slots=True)
class MakePackage:
    code: str
    name: str
    asset_class: str
    criteria: Criteria
    redemption: Redemption


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


def make_package(unit: RegistryUnit, context: Context, command: MakePackage) -> Package:
    """Define a standard product, as the registry that will keep its credits.

    Raises `NotPermitted`, `AlreadyExists`, `ParameterMissing` for an unknown asset class, `SerialInvalid`.
    """
    context.require_kind("registry")
    context.parameters.collateral_class(command.asset_class, business_date(context.at))
    package = Package(
        package_id=context.new_id("pkg"),
        code=command.code,
        name=command.name,
        registry_id=context.actor.id,
        asset_class=command.asset_class,
        criteria=command.criteria,
        redemption=command.redemption,
    )
    unit.packages.add(package, context.at)
    return package


def close_package(unit: RegistryUnit, context: Context, package_id: str) -> Package:
    """Take no more credits in; units stay tradable and redeemable."""
    package = unit.packages.get(package_id)
    context.require_party(package.registry_id)
    if package.state != "open":
        raise InvalidState("the package is closed", package_id=package_id)
    unit.packages.close(package_id)
    return unit.packages.get(package_id)


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


def redeem(unit: RegistryUnit, context: Context, package_id: str, quantity: Carbon) -> Redeemed:
    """Give units back and get the credits behind them, by the package's own rule.

    Raises `InsufficientBalance` for units the actor does not hold, `CreditsFrozen` when the rule takes frozen ones.
    """
    package = unit.packages.get(package_id)
    return _take_out(unit, context, package, quantity, AccountKind.HOLDING, EntryKind.REDEMPTION, package_id)


def retire_units(
    unit: RegistryUnit, context: Context, package_id: str, quantity: Carbon, purpose: Purpose
) -> Retirement:
    """Retire the credits behind units under one certificate: straight out of custody, so that just these are used up.

    Raises as `redeem`.
    """
    number = unit.registry.next_retirement_number()
    out = _take_out(
        unit,
        context,
        unit.packages.get(package_id),
        quantity,
        AccountKind.RETIRED,
        EntryKind.RETIREMENT,
        f"retirement:{number}",
    )
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
