"""Assets and accounts. An account is (owner, kind, asset, reference); its kind fixes the bounds of its balance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from financing.base.errors import QuantityOutOfRange

CNY_CODE = "CNY"
CREDIT_PREFIX = "PHCER:"
PACKAGE_PREFIX = "PKG:"


@dataclass(frozen=True, slots=True)
class Asset:
    """What an account counts: `CNY` in fen; the credits of one issuance (`PHCER:<issuance id>`) or the units of one
    package (`PKG:<package id>`), both in kg CO2e.

    One asset an issuance keeps method, region, project and vintage attached to every balance. A package's units are
    backed one to one by the credits in its custody.
    """

    code: str

    def __post_init__(self) -> None:
        named = any(self.code.startswith(prefix) and self.code != prefix for prefix in (CREDIT_PREFIX, PACKAGE_PREFIX))
        if self.code != CNY_CODE and not named:
            raise QuantityOutOfRange(f"{self.code!r} is not an asset of this ledger")

    @classmethod
    def credits(cls, issuance_id: str) -> Asset:
        return cls(CREDIT_PREFIX + issuance_id)

    @classmethod
    def units(cls, package_id: str) -> Asset:
        return cls(PACKAGE_PREFIX + package_id)

    @property
    def is_money(self) -> bool:
        return self.code == CNY_CODE

    @property
    def is_package(self) -> bool:
        return self.code.startswith(PACKAGE_PREFIX)

    @property
    def issuance_id(self) -> str:
        """The issuance behind a credit asset; raises `QuantityOutOfRange` for money and package units."""
        if not self.code.startswith(CREDIT_PREFIX):
            raise QuantityOutOfRange("only credits have an issuance", asset=self.code)
        return self.code.removeprefix(CREDIT_PREFIX)

    @property
    def package_id(self) -> str:
        """The package behind units; raises `QuantityOutOfRange` for money and credits."""
        if not self.is_package:
            raise QuantityOutOfRange("only units have a package", asset=self.code)
        return self.code.removeprefix(PACKAGE_PREFIX)


CNY = Asset(CNY_CODE)


class AccountKind(StrEnum):
    """Positive balances are what the owner has, negative balances what it owes or has given out."""

    CASH = "cash"  # settlement balance
    SETTLEMENT = "settlement"  # the payment system outside: the mirror of all cash brought in
    ISSUED = "issued"  # the registry's obligation: minus everything ever issued, credits and package units alike
    HOLDING = "holding"  # credits or units free to sell, pledge or retire
    PLEDGED = "pledged"  # credits under a posted pledge (reference: pledge id)
    ESCROW = "escrow"  # credits, units or money set aside for a sale (reference: listing, deal, quote or auction id)
    BUFFER = "buffer"  # credits withheld at issuance against reversal, in the registry's name
    PACKAGED = "packaged"  # credits in custody behind a package's units (reference: package id)
    RETIRED = "retired"  # credits used up for good
    CANCELLED = "cancelled"  # credits withdrawn without any use: revoked, or struck off with a cancelled claim
    EXPORTED = "exported"  # credits locked for good because another region's registry minted them
    LOAN_PRINCIPAL = "loan_principal"  # a bank's claim (reference: loan id)
    LOAN_PRINCIPAL_OWED = "loan_principal_owed"  # the borrower's mirror of it
    # Interest of one loan until migration 0007, a claim and its mirror. Entries name them; both are closed since.
    LOAN_INTEREST = "loan_interest"
    LOAN_INTEREST_OWED = "loan_interest_owed"
    # A bank's general ledger of its loans, one account a product (reference: product key).
    INTEREST_RECEIVABLE = "interest_receivable"  # earned and unpaid, penal interest included
    INTEREST_INCOME = "interest_income"  # minus all interest earned
    LOSS_ALLOWANCE = "loss_allowance"  # minus the expected credit loss
    PROVISION_EXPENSE = "provision_expense"
    BAD_DEBT = "bad_debt"  # written off and not recovered
    FEE_INCOME = "fee_income"  # minus the fees taken (reference: product key)
    FEE_EXPENSE = "fee_expense"  # the borrower's (reference: loan id)
    INTEREST_EXPENSE = "interest_expense"  # the borrower's interest paid (reference: loan id)
    DEBT_FORGIVEN = "debt_forgiven"  # the borrower's mirror of principal written off and not recovered

    @property
    def floor(self) -> int | None:
        """Lowest allowed balance less holds; None for accounts that may be negative."""
        return None if self in _MAY_BE_NEGATIVE else 0

    @property
    def ceiling(self) -> int | None:
        """Highest allowed balance; zero for obligations, which cannot be overpaid."""
        return 0 if self in _OBLIGATIONS else None


_OBLIGATIONS = frozenset({AccountKind.ISSUED, AccountKind.LOAN_PRINCIPAL_OWED, AccountKind.LOAN_INTEREST_OWED})
_MAY_BE_NEGATIVE = _OBLIGATIONS | {
    AccountKind.SETTLEMENT,
    AccountKind.INTEREST_INCOME,
    AccountKind.FEE_INCOME,
    AccountKind.LOSS_ALLOWANCE,
    AccountKind.PROVISION_EXPENSE,
    AccountKind.DEBT_FORGIVEN,
    AccountKind.BAD_DEBT,
}


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Identity of an account. `reference` separates e.g. the collateral of one pledge from that of another."""

    owner_id: str
    kind: AccountKind
    asset: Asset
    reference: str = ""

    def __str__(self) -> str:
        tail = f"/{self.reference}" if self.reference else ""
        return f"{self.owner_id}/{self.kind}/{self.asset.code}{tail}"


def cash(owner_id: str) -> AccountKey:
    return AccountKey(owner_id, AccountKind.CASH, CNY)


def holding(owner_id: str, asset: Asset) -> AccountKey:
    return AccountKey(owner_id, AccountKind.HOLDING, asset)


def escrow(owner_id: str, asset: Asset, reference: str) -> AccountKey:
    return AccountKey(owner_id, AccountKind.ESCROW, asset, reference)


def pledged(owner_id: str, asset: Asset, pledge_id: str) -> AccountKey:
    return AccountKey(owner_id, AccountKind.PLEDGED, asset, pledge_id)
