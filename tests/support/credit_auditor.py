"""An independent auditor of credits: for every kilogram ever issued one number that says where it is, in numpy.

It shares no code with the registry or the ledger. It does not predict which serials a command takes; it checks that
those named were where they could be taken from, and that a command that must be possible, or must not, was so.
"""

from collections import defaultdict

import numpy as np


def parse(serial):
    registry, _, tag, project, vintage, start, end, first, last, _check = serial.split("-")
    return (registry, tag, project, vintage, start, end), int(first), int(last)


class CreditAuditor:
    def __init__(self):
        self.where = {}  # issuance → array of place numbers, one for each kilogram
        self.frozen = {}  # issuance → array of booleans
        self.of_serial = {}  # what a serial's text says before its kilograms → issuance
        self.places, self.names = {}, []
        self.set_aside = defaultdict(int)  # (owner, issuance) → kilograms held by reservations
        self.units = defaultdict(int)  # (owner, package) → units

    def place(self, *name):
        if name not in self.places:
            self.places[name] = len(self.names)
            self.names.append(name)
        return self.places[name]

    def issue(self, issuance_id, serials, owner):
        keys = {parse(serial)[0] for serial in serials}
        assert len(keys) == 1
        key = keys.pop()
        assert key not in self.of_serial, "serial numbers were issued twice"
        self.of_serial[key] = issuance_id
        total = sum(parse(serial)[2] - parse(serial)[1] + 1 for serial in serials)
        self.where[issuance_id] = np.full(total, self.place("holding", owner, ""), dtype=np.int32)
        self.frozen[issuance_id] = np.zeros(total, dtype=bool)

    def move(self, serials, source, target, quantity):
        """The kilograms of `serials` go from `source` to `target`: they must all be at `source`, and not frozen."""
        moved = 0
        for serial in serials:
            key, first, last = parse(serial)
            issuance = self.of_serial[key]
            span = slice(first - 1, last)
            assert last <= len(self.where[issuance])
            assert (self.where[issuance][span] == self.place(*source)).all(), (serial, source)
            assert not self.frozen[issuance][span].any(), serial
            self.where[issuance][span] = self.place(*target)
            moved += last - first + 1
        assert moved == quantity, (moved, quantity)

    def at(self, issuance, *name):
        """(all, frozen) kilograms of an issuance at a place."""
        here = self.where[issuance] == self.place(*name)
        return int(here.sum()), int((here & self.frozen[issuance]).sum())

    def must(self, issuance, owner, quantity):
        """True if a holder's command on its holding must go through, False if it must not, None if it may do either
        (a freeze and a reservation compete for the same kilograms)."""
        held, frozen = self.at(issuance, "holding", owner, "")
        free = held - self.set_aside[owner, issuance]
        if quantity > free or quantity > held - frozen:
            return False
        return True if quantity <= free - frozen else None

    def agrees(self, balances):
        """Ledger balances by (kind, owner, reference, issuance) are what the kilograms say, and nothing is lost."""
        found, issued = defaultdict(int), defaultdict(int)
        units, minted = defaultdict(int), defaultdict(int)
        for balance in balances:
            code, kind = balance.key.asset.code, balance.key.kind.value
            if code.startswith("PKG:"):
                target = minted if kind == "issued" else units
                target[code[4:]] += balance.posted
            elif code.startswith("PHCER:"):
                if kind == "issued":
                    issued[code[6:]] -= balance.posted
                else:
                    found[kind, balance.key.owner_id, balance.key.reference, code[6:]] += balance.posted
        mine = defaultdict(int)
        for issuance, where in self.where.items():
            places, counts = np.unique(where, return_counts=True)
            for place, count in zip(places, counts, strict=True):
                kind, owner, reference = self.names[place]
                mine[kind, owner, reference, issuance] += int(count)
        assert {key: amount for key, amount in found.items() if amount} == dict(mine)
        assert issued == {issuance: len(where) for issuance, where in self.where.items()}
        custody = defaultdict(int)
        for (kind, _owner, reference, _issuance), amount in mine.items():
            if kind == "packaged":
                custody[reference] += amount
        assert {key: amount for key, amount in units.items() if amount} == dict(custody)
        assert all(minted[package] == -amount for package, amount in units.items())
        return True
