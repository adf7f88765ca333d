"""From a loan's books to the ledger: what changed in the accounts is what is posted, so the two cannot drift apart.

Each loan stands for one absolute position of every account (`positions`); a command or an end of day posts the new
position less the old one. Positions sum to zero within the bank, within the borrower, and therefore in all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import Posting
from financing.lending.loans.book import LoanBook
from financing.lending.loans.days import Ints
from financing.lending.loans.loan import LoanTerms
from financing.lending.loans.store import Portfolio


def positions(terms: LoanTerms, book: LoanBook) -> dict[AccountKey, int]:
    """Where one loan stands in every account it touches, in fen, since it was signed."""
    loan, bank, borrower = terms.loan_id, terms.lender, terms.borrower
    principal, received, disbursed = (int(each[0]) for each in (book.principal, book.received, book.disbursed))
    forgiven = int(book.written_principal[0]) - int(book.recovered[0])
    paid_interest = int((book.interest_paid + book.penal_paid)[0])
    standing = {
        AccountKey(bank, AccountKind.LOAN_PRINCIPAL, CNY, loan): principal,
        AccountKey(borrower, AccountKind.LOAN_PRINCIPAL_OWED, CNY, loan): -principal,
        AccountKey(borrower, AccountKind.INTEREST_EXPENSE, CNY, loan): paid_interest,
        AccountKey(borrower, AccountKind.DEBT_FORGIVEN, CNY, loan): -forgiven,
        cash(bank): received - disbursed,
        cash(borrower): disbursed - received,
    }
    for kind, amounts in consolidated(book).items():
        standing[AccountKey(bank, kind, CNY, terms.product)] = int(amounts[0])
    return standing


def consolidated(book: LoanBook) -> dict[AccountKind, Ints]:
    """What each loan contributes to the general ledger accounts of its portfolio."""
    return {
        AccountKind.INTEREST_RECEIVABLE: book.interest_owed + book.penal_owed,
        AccountKind.INTEREST_INCOME: -(book.interest_accrued + book.penal_accrued),
        AccountKind.BAD_DEBT: book.written_principal + book.written_interest - book.recovered,
        AccountKind.LOSS_ALLOWANCE: -book.allowance,
        AccountKind.PROVISION_EXPENSE: book.allowance,
    }


def changes(before: Mapping[AccountKey, int], after: Mapping[AccountKey, int]) -> list[Posting]:
    """Postings from one position to the other; none for an account that stays."""
    moved = {key: after[key] - before.get(key, 0) for key in after}
    return [Posting(key, amount) for key, amount in moved.items() if amount]


def day_changes(before: LoanBook, after: LoanBook, portfolios: Mapping[int, Portfolio]) -> list[Posting]:
    """Postings of an end of day: the change of every general ledger account, summed over each portfolio's loans."""
    net: dict[AccountKey, int] = defaultdict(int)
    old, new = consolidated(before), consolidated(after)
    for kind, amounts in new.items():
        moved = amounts - old[kind]
        for portfolio_id, total in _sums(after.portfolio, moved):
            portfolio = portfolios[portfolio_id]
            net[AccountKey(portfolio.bank_id, kind, CNY, portfolio.product)] += total
    return [Posting(key, amount) for key, amount in net.items() if amount]


def _sums(groups: Ints, amounts: Ints) -> Iterable[tuple[int, int]]:
    ids, place = np.unique(groups, return_inverse=True)
    total = np.zeros(len(ids), np.int64)
    np.add.at(total, place, amounts)
    return zip(ids.tolist(), total.tolist(), strict=True)
