"""Random commands on credits, by the hundred on SQLite and PostgreSQL (`make soak`: by ten thousand), beside an
independent auditor of every kilogram: issued = held + pledged + escrow + packaged + retired + cancelled + exported, for
each serial number, all the time."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from credit_auditor import CreditAuditor
from soak import sized

from financing.base.errors import FinancingError
from financing.base.quantities import Carbon, Price
from financing.lending.collateral.commands import (
    PostPledge,
    ReleasePledge,
    ReservePledge,
    post_pledge,
    release_pledge,
    reserve_pledge,
    void_pledge,
)
from financing.market.over_the_counter.commands import BuyListing, MakeListing, buy_listing, end_listing, make_listing
from financing.registry.credits.commands import IssueCredits, issue_credits
from financing.registry.oversight.commands import FreezeSerials, freeze_serials, lift_freeze, revoke_frozen
from financing.registry.packages.commands import (
    MakePackage,
    RedeemUnits,
    RetireUnits,
    make_package,
    put_in,
    redeem,
    retire_units,
)
from financing.registry.packages.model import Redemption
from financing.registry.retirement.commands import CancelCredits, RetireCredits, cancel_credits, retire_credits
from financing.registry.transfers.commands import SendCredits, mint_transfer, refuse_transfer, send_credits

# The rules are the same on both; a server asked over a socket takes longer for each command.
COMMANDS = {"sqlite": sized(400, 10_000), "postgresql": sized(100, 10_000)}
# Each can be claimed and issued once by each of two owners.
DAYS = sized(12, 40)
HOLDERS = {"dev-a": "developer", "dev-b": "developer", "buyer-a": "buyer", "buyer-b": "buyer"}
FIRST = datetime(2025, 3, 1, tzinfo=UTC)
PURPOSE = {"beneficiary": "somebody", "purpose": "something"}


class Machine:
    """Draws a command, runs it at the desk, and tells the auditor what came of it.

    Ids differ from run to run, so things are drawn in the order in which they came: a seed is one run.
    """

    def __init__(self, desk, seed):
        self.desk, self.rng, self.auditor = desk, Random(seed), CreditAuditor()
        self.counts = Counter()
        self.listed, self.reserved, self.posted, self.sent, self.freezes = {}, {}, {}, {}, {}
        self._found()

    def _found(self):
        desk = self.desk
        loan, pledge, issuance = desk.lend(pledge_kg=400_000, amount_fen=100_000)
        self.loan_id = loan.stored.terms.loan_id
        for name, kind in HOLDERS.items():
            if name != "dev-a":
                desk.admit(name, kind)
            desk.fund(name, 10**12)
        self._on_record(issuance.issuance_id, issuance.quantity.kg, "dev-a")
        self.auditor.where[issuance.issuance_id][-400_000:] = self.auditor.place("pledged", "dev-a", pledge.pledge_id)
        self.posted[pledge.pledge_id] = (issuance.issuance_id, 400_000)
        self.claims = []
        for owner in ("dev-a", "dev-b"):
            code = f"M{owner[-1].upper()}"
            project = desk.project(owner, code)
            desk.load(code, DAYS)
            for day in range(DAYS):
                claim = desk.claim(owner, project, first=FIRST + timedelta(days=day), days=1)
                desk.accept(claim)
                self.claims.append((owner, claim.monitoring_period_id))
        self.rng.shuffle(self.claims)
        self.packages = [
            self.run(
                "registry-sip",
                make_package,
                MakePackage(code=f"P{n}", name=f"P{n}", asset_class="PHCER", redemption=rule.value),
            )
            for n, rule in enumerate(Redemption)
        ]

    def _on_record(self, issuance_id, kilograms, owner):
        standing = self.desk.look(lambda unit: unit.serials.standing(issuance_id, 1, kilograms))
        self.auditor.issue(issuance_id, [block.serial for _, block in standing], owner)

    def run(self, who, command, *arguments):
        return self.desk.run(who, command, *arguments)

    def step(self):
        name = self.rng.choice(STEPS)
        try:
            done = getattr(self, name)()
        except FinancingError as refusal:
            self.counts[f"refused {refusal.code}"] += 1
        else:
            if done is False:
                return False
            self.counts[name] += 1
        return True

    def attempt(self, issuance, owner, quantity, call):
        """Run a command on a holding and hold its outcome against what the auditor says must be."""
        must = self.auditor.must(issuance, owner, quantity)
        try:
            done = call()
        except FinancingError:
            assert must is not True, (issuance, owner, quantity)
            raise
        assert must is not False, (issuance, owner, quantity)
        return done

    def draw(self):
        owner = self.rng.choice(sorted(HOLDERS))
        issuances = list(self.auditor.where)
        own = [each for each in issuances if self.auditor.at(each, "holding", owner, "")[0]]
        issuance = self.rng.choice(own if own and self.rng.random() < 0.9 else issuances)
        held, _ = self.auditor.at(issuance, "holding", owner, "")
        small = (1, 7, 100, 999, 1_000, 1_000, 2_000, max(1, held))
        quantity = held + 1 if self.rng.random() < 0.1 else self.rng.choice((*small, max(1, held // 2)))
        return owner, issuance, quantity

    def issue(self):
        if not self.claims:
            return False
        owner, period_id = self.claims.pop()
        issued = self.run("registry-sip", issue_credits, IssueCredits(monitoring_period_id=period_id))
        if issued.issuance is not None:
            self.auditor.issue(issued.issuance.issuance_id, [block.serial for block in issued.blocks], owner)
        return None

    def retire(self):
        owner, issuance, quantity = self.draw()
        quantity = quantity if quantity > 2_000 and self.rng.random() < 0.1 else min(quantity, 100)
        command = RetireCredits(issuance_id=issuance, quantity_kg=quantity, **PURPOSE)
        done = self.attempt(issuance, owner, quantity, lambda: self.run(owner, retire_credits, command))
        self.auditor.move(done.serials, ("holding", owner, ""), ("retired", owner, ""), quantity)

    def cancel(self):
        owner, issuance, quantity = self.draw()
        quantity = min(quantity, 50)
        command = CancelCredits(issuance_id=issuance, quantity_kg=quantity, reason="test")
        done = self.attempt(issuance, owner, quantity, lambda: self.run(owner, cancel_credits, command))
        self.auditor.move(done.serials, ("holding", owner, ""), ("cancelled", owner, ""), quantity)

    def moved(self, head):
        """Serials that changed account in the entry after `head`."""
        return [block.serial for block in self.desk.look(lambda unit: unit.serials.arrived(head + 1))]

    def head(self):
        return self.desk.look(lambda unit: unit.ledger.head()).entry_id

    def list(self):
        """A listing for anyone, or for one named buyer: into escrow either way."""
        owner, issuance, quantity = self.draw()
        buyer = self.rng.choice([None, *(name for name in sorted(HOLDERS) if name != owner)])
        quantity = max(1_000, quantity // 1_000 * 1_000)
        command = MakeListing(
            buyer_id=buyer,
            asset=f"PHCER:{issuance}",
            quantity_kg=Carbon(quantity),
            price_fen_per_tonne=Price(3_000),
            expires_at=self.desk.now + timedelta(days=1),
        )
        head = self.head()
        made = self.attempt(issuance, owner, quantity, lambda: self.run(owner, make_listing, command))
        escrow = ("escrow", owner, made.listing_id)
        self.auditor.move(self.moved(head), ("holding", owner, ""), escrow, quantity)
        self.listed[made.listing_id] = (owner, buyer, issuance, quantity)

    def settle(self):
        """Some of a listing, or all of it, by the buyer that it names or by anyone."""
        if not self.listed:
            return False
        listing_id = self.rng.choice(list(self.listed))
        owner, named, issuance, left = self.listed[listing_id]
        buyer = named or self.rng.choice([name for name in sorted(HOLDERS) if name != owner])
        quantity = self.rng.choice((1_000, left))
        before, _ = self.auditor.at(issuance, "holding", buyer, "")
        head = self.head()
        self.run(buyer, buy_listing, listing_id, BuyListing(quantity_kg=Carbon(quantity)))
        self.auditor.move(self.moved(head), ("escrow", owner, listing_id), ("holding", buyer, ""), quantity)
        self._left(listing_id, left - quantity)
        assert self.auditor.at(issuance, "holding", buyer, "")[0] == before + quantity
        return None

    def withdraw(self):
        if not self.listed:
            return False
        listing_id = self.rng.choice(list(self.listed))
        owner, _, _, left = self.listed[listing_id]
        head = self.head()
        self.run(owner, end_listing, listing_id)
        self.auditor.move(self.moved(head), ("escrow", owner, listing_id), ("holding", owner, ""), left)
        self._left(listing_id, 0)
        return None

    def _left(self, listing_id, left):
        if left:
            self.listed[listing_id] = (*self.listed[listing_id][:3], left)
        else:
            del self.listed[listing_id]

    def reserve(self):
        _, issuance, quantity = self.draw()
        command = ReservePledge(
            bank_id="bank-gusu", issuance_id=issuance, quantity_kg=Carbon(quantity), product="phcer_pledge_loan"
        )
        stored = self.run("dev-a", reserve_pledge, command)
        self.reserved[stored.pledge.pledge_id] = (issuance, quantity)
        self.auditor.set_aside["dev-a", issuance] += quantity

    def post(self):
        if not self.reserved:
            return False
        pledge_id = self.rng.choice(list(self.reserved))
        issuance, quantity = self.reserved[pledge_id]
        if self.rng.random() < 0.3:
            self.run("bank-gusu", void_pledge, pledge_id)
        else:
            head = self.head()
            self.run(
                "bank-gusu",
                post_pledge,
                pledge_id,
                PostPledge(loan_id=self.loan_id, registration_number="R"),
            )
            self.auditor.move(self.moved(head), ("holding", "dev-a", ""), ("pledged", "dev-a", pledge_id), quantity)
            self.posted[pledge_id] = (issuance, quantity)
        del self.reserved[pledge_id]
        self.auditor.set_aside["dev-a", issuance] -= quantity
        return None

    def release(self):
        if len(self.posted) < 2:
            return False
        pledge_id = self.rng.choice(list(self.posted))
        issuance, quantity = self.posted[pledge_id]
        part = self.rng.choice((1, quantity))
        head = self.head()
        self.run("bank-gusu", release_pledge, pledge_id, ReleasePledge(quantity_kg=Carbon(part)))
        self.auditor.move(self.moved(head), ("pledged", "dev-a", pledge_id), ("holding", "dev-a", ""), part)
        if part == quantity:
            del self.posted[pledge_id]
        else:
            self.posted[pledge_id] = (issuance, quantity - part)
        return None

    def freeze(self):
        issuance = self.rng.choice(list(self.auditor.where))
        total = len(self.auditor.where[issuance])
        first = self.rng.randint(1, total)
        last = min(total, first + self.rng.choice((0, 500, 5_000)))
        registry = self.registry_of(issuance)
        overlap = self.auditor.frozen[issuance][first - 1 : last].any()
        try:
            command = FreezeSerials(issuance_id=issuance, reason="test", first_kg=first, last_kg=last)
            order = self.run(registry, freeze_serials, command)
        except FinancingError:
            assert overlap
            raise
        assert not overlap
        self.auditor.frozen[issuance][first - 1 : last] = True
        self.freezes[order.freeze_id] = (registry, issuance, first, last)

    def thaw(self):
        if not self.freezes:
            return False
        freeze_id = self.rng.choice(list(self.freezes))
        registry, issuance, first, last = self.freezes[freeze_id]
        span = slice(first - 1, last)
        if self.rng.random() < 0.7:
            self.run(registry, lift_freeze, freeze_id)
            self.auditor.frozen[issuance][span] = False
        else:
            done = self.run(registry, revoke_frozen, freeze_id)
            self.auditor.frozen[issuance][span] = False
            for each in done:
                self.auditor.move(
                    each.serials, ("holding", each.owner_id, ""), ("cancelled", each.owner_id, ""), each.quantity.kg
                )
            assert sum(each.quantity.kg for each in done) == last - first + 1
        del self.freezes[freeze_id]
        return None

    def registry_of(self, issuance):
        return self.desk.look(lambda unit: unit.issuances.get(issuance)).registry_id

    def pack(self):
        owner, issuance, quantity = self.draw()
        package = self.rng.choice(self.packages)
        if self.registry_of(issuance) != package.registry_id:
            return False
        done = self.attempt(
            issuance,
            owner,
            quantity,
            lambda: self.run(owner, put_in, package.package_id, issuance, Carbon(quantity)),
        )
        self.auditor.move(
            self.moved(done.entry_id - 1),
            ("holding", owner, ""),
            ("packaged", package.registry_id, package.package_id),
            quantity,
        )
        self.auditor.units[owner, package.package_id] += quantity
        return None

    def unpack(self):
        owner, package = self.rng.choice(sorted(HOLDERS)), self.rng.choice(self.packages)
        held = self.auditor.units[owner, package.package_id]
        if not held:
            return False
        quantity = self.rng.choice((1, min(held, 1_000), held, held + 1))
        kept = ("packaged", package.registry_id, package.package_id)
        if self.rng.random() < 0.5:
            out = self.run(owner, redeem, package.package_id, RedeemUnits(quantity_kg=quantity))
            self.auditor.move([b.serial for b in out.blocks], kept, ("holding", owner, ""), quantity)
        else:
            command = RetireUnits(quantity_kg=quantity, **PURPOSE)
            done = self.run(owner, retire_units, package.package_id, command)
            self.auditor.move(done.serials, kept, ("retired", owner, ""), quantity)
        assert quantity <= held
        self.auditor.units[owner, package.package_id] -= quantity
        return None

    def send(self):
        owner, issuance, quantity = self.draw()
        region = self.rng.choice(("hailing", "chengdu", "chuzhou", "jiaxing", "suzhou"))
        command = SendCredits(issuance_id=issuance, quantity_kg=quantity, to_region=region)
        sent = self.run(owner, send_credits, command)
        assert self.auditor.must(issuance, owner, quantity) is not False
        self.auditor.move(sent.serials, ("holding", owner, ""), ("escrow", owner, sent.transfer_id), quantity)
        self.sent[sent.transfer_id] = sent

    def arrive(self):
        if not self.sent:
            return False
        sent = self.sent[self.rng.choice(list(self.sent))]
        locked = ("escrow", sent.owner_id, sent.transfer_id)
        if self.rng.random() < 0.5:
            self.run(sent.to_registry, refuse_transfer, sent.transfer_id)
            self.auditor.move(sent.serials, locked, ("holding", sent.owner_id, ""), sent.quantity.kg)
        else:
            done = self.run(sent.to_registry, mint_transfer, sent.transfer_id)
            self.auditor.move(sent.serials, locked, ("exported", sent.owner_id, ""), sent.quantity.kg)
            assert done.minted.kg <= sent.quantity.kg
            self._on_record(done.minted_issuance_id, done.minted.kg, sent.owner_id)
        del self.sent[sent.transfer_id]
        return None


STEPS = (
    *("issue", "retire", "retire", "cancel", "list", "list", "settle", "settle", "withdraw", "reserve", "post"),
    *("release", "freeze", "thaw", "pack", "pack", "unpack", "send", "arrive"),
)

REACHED = {*STEPS, "refused credits_frozen", "refused insufficient_balance", "refused credits_pledged"}


@pytest.mark.timeout(900)
def test_random_commands_conserve_every_kilogram(desk, kind):
    machine, most = Machine(desk, seed=2026), COMMANDS[kind]
    for number in range(1, most + 1):
        while machine.step() is False:
            pass
        if number % 250 == 0:
            assert machine.auditor.agrees(desk.look(lambda unit: unit.ledger.balances()))
    desk.verify()
    assert kind == "postgresql" or set(machine.counts) >= REACHED, machine.counts
    assert machine.auditor.agrees(desk.look(lambda unit: unit.ledger.balances()))
    print(machine.counts.most_common())
