"""An independent auditor of the ledger: plain dictionaries, no code of the ledger, only what its promises say."""

from collections import defaultdict

NEGATIVE = {
    "settlement",
    "issued",
    "loan_principal_owed",
    "interest_income",
    "fee_income",
    "loss_allowance",
    "provision_expense",
    "bad_debt",
    "debt_forgiven",
}
OBLIGATION = NEGATIVE - {"settlement"}


class Auditor:
    def __init__(self):
        self.posted = defaultdict(int)
        self.held = defaultdict(int)
        self.holds = {}
        self.entries = 0

    def allows(self, changes):
        """Whether an entry of {account: amount} keeps every account within its bounds."""
        net = {account: amount for account, amount in changes.items() if amount}
        if len(net) < 2:
            return False
        totals = defaultdict(int)
        for (_, _, asset, _), amount in net.items():
            totals[asset] += amount
        if any(totals.values()):
            return False
        return all(self._within(account, amount) for account, amount in net.items())

    def _within(self, account, amount):
        after = self.posted[account] + amount
        kind = account[1]
        if kind in OBLIGATION:
            return after <= 0
        if kind in NEGATIVE:
            return True
        return amount > 0 or after - self.held[account] >= 0

    def apply(self, changes):
        self.entries += 1
        for account, amount in changes.items():
            self.posted[account] += amount

    def can_hold(self, account, amount):
        return amount > 0 and self.posted[account] - self.held[account] >= amount

    def hold(self, reference, account, amount):
        self.holds[reference] = (account, amount)
        self.held[account] += amount

    def close(self, reference):
        account, amount = self.holds.pop(reference)
        self.held[account] -= amount

    def agrees(self, balances):
        """Whether the ledger's balances are the auditor's, and nothing was created or lost."""
        found = {}
        sums = defaultdict(int)
        for balance in balances:
            key = balance.key
            account = (key.owner_id, key.kind.value, key.asset.code, key.reference)
            found[account] = (balance.posted, balance.held)
            sums[key.asset.code] += balance.posted
        assert not any(sums.values()), sums
        mine = {account: (self.posted[account], self.held[account]) for account in found}
        assert found == mine
        assert all(account in found or amount == 0 for account, amount in self.posted.items())
        return True
