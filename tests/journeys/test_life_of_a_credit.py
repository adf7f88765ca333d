"""What happens to credits beside trade and pledge, command by command. Random commands on both databases take the
same ways (test_conservation); here two stories do."""

from datetime import UTC, datetime, timedelta

from desk import BANK, GRID, REGISTRY
from kinds import on_both, one_kind  # noqa: F401
from plants import project_body

from financing.base.quantities import Carbon
from financing.lending.collateral.commands import ReleasePledge, release_pledge
from financing.lending.collateral.disposing import buy_any
from financing.lending.origination.commands import RepayLoan, repay_loan
from financing.market.over_the_counter.commands import BuyListing, MakeListing, make_listing
from financing.registry.credits.commands import IssueCredits, issue_credits
from financing.registry.oversight.commands import (
    FreezeSerials,
    SuspendProject,
    freeze_serials,
    lift_freeze,
    resume_project,
    revoke_frozen,
    suspend_project,
)
from financing.registry.oversight.overlap_guard import (
    LinkEnergy,
    RecordCertificate,
    RecordExternalClaim,
    link_energy,
    record_certificate,
    record_external_claim,
    sell_certificate,
)
from financing.registry.packages.commands import (
    DepositCredits,
    MakePackage,
    RedeemUnits,
    RetireUnits,
    close_package,
    deposit_credits,
    make_package,
    redeem,
    retire_units,
)
from financing.registry.packages.looking import find_serial, look_through
from financing.registry.projects.commands import RegisterProject, register_project
from financing.registry.retirement.commands import CancelCredits, RetireCredits, cancel_credits, retire_credits
from financing.registry.transfers.commands import SendCredits, mint_transfer, refuse_transfer, send_credits
from financing.registry.verification.commands import SubmitPeriod, submit_period
from financing.valuation.packages import package_value

MARCH, MAY = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)
CHENGDU, HAILING = "registry-chengdu", "registry-hailing"


def kilograms(serial):
    *_, first, last, _check = serial.split("-")
    return int(last) - int(first) + 1


def stays(desk, serial):
    """Where the kilograms of a serial number have been."""

    def past(unit):
        issuance, text = find_serial(unit, serial)
        return unit.serials.past(issuance.issuance_id, text.first_kg, text.last_kg)

    return desk.look(past)


@on_both
def test_less_than_a_tonne_is_carried_over_until_it_fills_one(desk):
    desk.admit("dev-a", "developer")
    project = desk.project("dev-a", "SMALL")
    desk.load("SMALL", 4, capacity_w=300_000)
    given = []
    for day in range(4):
        claim = desk.claim("dev-a", project, first=MARCH + timedelta(days=day), days=1)
        desk.accept(claim)
        given.append((claim.reduction.reduction, desk.issue(claim)))
        again = IssueCredits(monitoring_period_id=claim.monitoring_period_id)
        desk.assert_refused(REGISTRY, "period_already_issued", issue_credits, again)
    carried = Carbon(0)
    for reduction, issued in given:
        assert issued.carried.carried_in == carried
        assert carried + reduction == issued.carried.issued + issued.carried.carried_out
        assert issued.carried.issued.kg % 1_000 == 0
        assert (issued.issuance is None) is (issued.carried.issued == Carbon(0))
        carried = issued.carried.carried_out
    assert 0 < sum(issued.carried.issued > Carbon(0) for _, issued in given) < 4
    desk.verify()


def test_frozen_serials_stay_where_they_are(desk):
    desk.admit("dev-a", "developer")
    desk.admit("buyer-a", "buyer")
    desk.fund("buyer-a", 10_000_000)
    issuance = desk.credits("dev-a")
    asset, total = f"PHCER:{issuance.issuance_id}", issuance.quantity.kg
    some = {"issuance_id": issuance.issuance_id, "quantity_kg": 1_000}
    sale = MakeListing(
        buyer_id="buyer-a",
        asset=asset,
        quantity_kg=100_000,
        price_fen_per_tonne=3_000,
        expires_at=desk.now + timedelta(days=3),
    )
    whole = desk.run("dev-a", make_listing, sale).listing_id, BuyListing(quantity_kg=100_000)
    order = FreezeSerials(issuance_id=issuance.issuance_id, reason="the meter was found tampered with")
    desk.assert_refused("dev-a", "not_permitted", freeze_serials, order)
    desk.assert_refused(CHENGDU, "not_permitted", freeze_serials, order)
    frozen = desk.run(REGISTRY, freeze_serials, order)
    desk.assert_refused(REGISTRY, "invalid_state", freeze_serials, order)

    # A listing made before the freeze does not settle; nothing else gets at the credits either.
    desk.assert_refused("buyer-a", "credits_frozen", buy_any, *whole)
    use = {"beneficiary": "x", "purpose": "y"}
    desk.assert_refused("dev-a", "credits_frozen", retire_credits, RetireCredits(**some, **use))
    desk.assert_refused("dev-a", "credits_frozen", cancel_credits, CancelCredits(**some, reason="no use"))
    desk.assert_refused("dev-a", "credits_frozen", send_credits, SendCredits(**some, to_region="hailing"))
    desk.assert_refused("dev-a", "credits_frozen", make_listing, sale)

    desk.run(REGISTRY, lift_freeze, frozen.freeze_id)
    desk.run("buyer-a", buy_any, *whole)

    # A part: the last 50 t, which are the buyer's now. Its other credits move, these do not, and then they are revoked.
    part = FreezeSerials(**order.model_dump() | {"first_kg": total - 50_000 + 1, "last_kg": total})
    frozen = desk.run(REGISTRY, freeze_serials, part)
    beyond, rest = (RetireCredits(**some | {"quantity_kg": quantity}, **use) for quantity in (50_001, 50_000))
    desk.assert_refused("buyer-a", "credits_frozen", retire_credits, beyond)
    assert sum(map(kilograms, desk.run("buyer-a", retire_credits, rest).serials)) == 50_000
    revoked = desk.run(REGISTRY, revoke_frozen, frozen.freeze_id)
    assert [(each.owner_id, each.quantity_kg, each.ground) for each in revoked] == [("buyer-a", 50_000, "revoked")]
    assert sum(map(kilograms, revoked[0].serials)) == 50_000
    assert desk.balance("buyer-a", "cancelled", asset) == 50_000
    assert desk.balance("buyer-a", "holding", asset) == 0
    history = stays(desk, revoked[0].serials[0])
    kinds = ["issuance", "escrow", "trade", "retirement", "cancellation"]
    assert [stay.entry_kind for stay in history] == kinds
    assert [stay.owner_id for stay in history] == ["dev-a", "dev-a", "buyer-a", "buyer-a", "buyer-a"]
    desk.assert_refused(REGISTRY, "invalid_state", lift_freeze, frozen.freeze_id)
    desk.verify()


def test_pledged_credits_are_frozen_in_place_and_not_revoked(lent_desk):
    desk, loan, pledge, issuance = lent_desk
    order = FreezeSerials(issuance_id=issuance.issuance_id, reason="doubt")
    frozen = desk.run(REGISTRY, freeze_serials, order)
    desk.assert_refused(REGISTRY, "credits_pledged", revoke_frozen, frozen.freeze_id)
    desk.fund("dev-a", 1_000_000)
    desk.run("dev-a", repay_loan, loan.stored.terms.loan_id, RepayLoan(amount_fen=loan.debt.total))
    whole = ReleasePledge(quantity_kg=400_000)
    desk.assert_refused(BANK, "credits_frozen", release_pledge, pledge.pledge_id, whole)
    desk.run(REGISTRY, lift_freeze, frozen.freeze_id)
    desk.run(BANK, release_pledge, pledge.pledge_id, whole)
    desk.verify()


def test_a_suspended_project_neither_claims_nor_is_issued_anything(desk):
    desk.admit("dev-a", "developer")
    project = desk.project("dev-a", "PV1")
    desk.load("PV1", 70)
    claim = desk.claim("dev-a", project, days=30)
    desk.accept(claim)

    def suspended():
        return desk.look(lambda unit: unit.custody.suspension(project.project_id)) is not None

    desk.run(REGISTRY, suspend_project, project.project_id, SuspendProject(reason="site visit"))
    assert suspended() is True
    again = SuspendProject(reason="again")
    desk.assert_refused(REGISTRY, "invalid_state", suspend_project, project.project_id, again)
    period = IssueCredits(monitoring_period_id=claim.monitoring_period_id)
    desk.assert_refused(REGISTRY, "project_suspended", issue_credits, period)
    further = SubmitPeriod(
        project_id=project.project_id,
        starts_at=MARCH + timedelta(days=30),
        ends_at=MARCH + timedelta(days=60),
    )
    desk.assert_refused("dev-a", "project_suspended", submit_period, further)
    desk.run(REGISTRY, resume_project, project.project_id)
    assert suspended() is False
    desk.run(REGISTRY, issue_credits, period)
    desk.run("dev-a", submit_period, further)


@on_both
def test_small_reductions_become_one_product(desk):
    """Three plants in one package: criteria, units, look-through, redemption by the package's rule, retirement."""
    desk.admit("dev-a", "developer")
    desk.admit("buyer-a", "buyer")
    issued = [desk.credits("dev-a", code) for code in ("PV1", "PV2", "PV3")]
    terms = {
        "code": "SIP-PV-2025",
        "name": "Suzhou rooftops 2025",
        "criteria": {"methodologies": ["PV"], "vintage_first": 2025, "vintage_last": 2025},
        "redemption": "oldest_first",
    }
    product = MakePackage(**terms)
    desk.assert_refused("dev-a", "not_permitted", make_package, product)
    package = desk.run(REGISTRY, make_package, product)
    desk.assert_refused(REGISTRY, "already_exists", make_package, product)
    later = MakePackage(**terms | {"code": "LATE", "criteria": {"vintage_first": 2026}})
    late, package_id = desk.run(REGISTRY, make_package, later), package.package_id
    one = DepositCredits(issuance_id=issued[0].issuance_id, quantity_kg=30_000)
    refused = desk.assert_refused("dev-a", "not_eligible", deposit_credits, late.package_id, one)
    assert refused.context["criterion"] == "vintage"
    desk.run("dev-a", deposit_credits, package_id, one)
    rest = desk.run("dev-a", deposit_credits, package_id, DepositCredits())
    assert rest.issuances == 3
    total = sum(each.quantity.kg for each in issued)
    assert rest.quantity == Carbon(total - 30_000)
    desk.assert_refused("dev-a", "not_eligible", deposit_credits, package_id, DepositCredits())
    assert desk.balance("dev-a", "holding", f"PKG:{package_id}") == total

    desk.price(3_000)
    lines = desk.look(lambda unit: unit.packages.breakdown(package))
    assert sum(line.quantity.kg for line in lines) == total
    worth = desk.look(lambda unit: package_value(unit, desk.parts.parameters, package, lines, desk.now))
    assert worth.fen == total * 3
    assert [(line.methodology_tag, line.vintage, line.issuances) for line in lines] == [("PV1", 2025, 3)]
    through = desk.look(lambda unit: look_through(unit, package_id))
    assert sum(kilograms(serial) for _, serials in through for serial in serials) == total

    out = desk.run("dev-a", redeem, package_id, RedeemUnits(quantity_kg=10_000))
    oldest, held = through[0][0].issuance_id, through[0][0].quantity.kg
    assert desk.balance("dev-a", "holding", f"PHCER:{oldest}") == 10_000
    assert sum(kilograms(block.serial) for block in out.blocks) == 10_000
    desk.assert_refused("dev-a", "quantity_out_of_range", redeem, package_id, RedeemUnits(quantity_kg=total))
    use = RetireUnits(quantity_kg=held, beneficiary="Suzhou marathon", purpose="event")
    certificate = desk.run("dev-a", retire_units, package_id, use)
    assert sum(map(kilograms, certificate.serials)) == held
    assert len({serial.split("-")[3] for serial in certificate.serials}) == 2
    desk.run(REGISTRY, close_package, package_id)
    more = DepositCredits(issuance_id=oldest, quantity_kg=1_000)
    desk.assert_refused("dev-a", "not_eligible", deposit_credits, package_id, more)
    desk.verify()


def test_a_package_pays_out_pro_rata(desk):
    desk.admit("dev-a", "developer")
    issued = [desk.credits("dev-a", code) for code in ("PV1", "PV2", "PV3")]
    package = desk.run(REGISTRY, make_package, MakePackage(code="ANY", name="Any", redemption="pro_rata"))
    for number, each in enumerate(issued, 1):
        some = DepositCredits(issuance_id=each.issuance_id, quantity_kg=number * 1_000)
        desk.run("dev-a", deposit_credits, package.package_id, some)
    desk.run("dev-a", redeem, package.package_id, RedeemUnits(quantity_kg=100))
    through = desk.look(lambda unit: look_through(unit, package.package_id))
    left = {each.issuance_id: each.quantity.kg for each, _ in through}
    taken = sorted(number * 1_000 - left[each.issuance_id] for number, each in enumerate(issued, 1))
    assert taken == [17, 33, 50]
    desk.verify()


def test_credits_leave_for_another_region_and_are_minted_there_once(desk):
    desk.admit("dev-a", "developer")
    issuance = desk.credits("dev-a")

    def send(region, issuance_id=issuance.issuance_id, quantity_kg=100_000):
        return send_credits, SendCredits(issuance_id=issuance_id, quantity_kg=quantity_kg, to_region=region)

    sent = desk.run("dev-a", *send("chengdu"))
    # Sichuan's factor is 0.1404 against Jiangsu's 0.5978: the same energy avoids less there.
    assert sent.mode == "requantify"
    assert sent.mintable == Carbon(100_000 * 140_400 // 597_800)
    asset = f"PHCER:{issuance.issuance_id}"
    assert desk.balance("dev-a", "escrow", asset) == 100_000
    desk.assert_refused(REGISTRY, "not_permitted", mint_transfer, sent.transfer_id)
    minted = desk.run(CHENGDU, mint_transfer, sent.transfer_id).minted_issuance_id
    desk.assert_refused(CHENGDU, "invalid_state", mint_transfer, sent.transfer_id)
    desk.assert_refused("dev-a", "invalid_state", refuse_transfer, sent.transfer_id)
    assert desk.balance("dev-a", "exported", asset) == 100_000
    assert desk.balance("dev-a", "escrow", asset) == 0
    assert desk.balance("dev-a", "holding", f"PHCER:{minted}") == sent.mintable.kg
    use = RetireCredits(issuance_id=minted, quantity_kg=1_000, beneficiary="Chengdu games", purpose="event")
    (serial, *_) = desk.run("dev-a", retire_credits, use).serials
    assert serial.startswith("CD-PHCER-PV1-X00000001-2025-")
    assert desk.look(lambda unit: find_serial(unit, serial))[0].issuance_id == minted

    back = desk.run("dev-a", *send("hailing"))
    assert (back.mode, back.mintable) == ("recognise", Carbon(100_000))
    desk.run(HAILING, refuse_transfer, back.transfer_id)
    assert desk.balance("dev-a", "escrow", asset) == 0
    desk.assert_refused("dev-a", "not_eligible", *send("hailing", minted, 1_000))
    desk.verify()


def test_one_claim_for_one_benefit(desk):
    desk.admit("dev-a", "developer")
    project = desk.project("dev-a", "PV1")
    span = {"starts_at": MARCH, "ends_at": MAY}
    desk.load("PV1", 61)

    def certificate(number, **more):
        terms = {"certificate_number": number, "meter_id": "M-PV1", "energy_wh": 1_000_000} | span
        return record_certificate, RecordCertificate(**terms | more)

    def states():
        return {each.certificate_number: each.state for each in desk.look(lambda unit: unit.guard.certificates())}

    # Certificates: an unsold one is frozen with the claim and cancelled with issuance; a sold one is left out.
    desk.assert_refused("grid-gaoxin", "not_permitted", *certificate("GEC-1"))
    desk.run(GRID, *certificate("GEC-1"))
    desk.run(GRID, *certificate("GEC-2"))
    desk.run(GRID, sell_certificate, "GEC-2")
    claim = {"project_id": project.project_id, **span}
    desk.assert_refused("dev-a", "double_claim", submit_period, SubmitPeriod(**claim))
    taken = desk.run("dev-a", submit_period, SubmitPeriod(**claim, green_power_sold_wh=1_000_000))
    assert states() == {"GEC-1": "frozen", "GEC-2": "sold"}
    desk.assert_refused(GRID, "invalid_state", sell_certificate, "GEC-1")
    desk.assert_refused(GRID, "double_claim", *certificate("GEC-3", sold=True, energy_wh=2_000_000))
    desk.accept(taken)
    desk.issue(taken)
    assert states()["GEC-1"] == "cancelled"

    # Another scheme or the ETS: the site registers nothing here.
    terms = {"scheme": "CCER", "subject_kind": "meter", "subject_id": "M-PV2", "reference": "CCER-17", **span}
    elsewhere = RecordExternalClaim(**terms)
    desk.assert_refused("dev-a", "not_permitted", record_external_claim, elsewhere)
    desk.run(REGISTRY, record_external_claim, elsewhere)
    desk.assert_refused(REGISTRY, "already_exists", record_external_claim, elsewhere)

    def registering_refused(code):
        return desk.assert_refused("dev-a", "double_claim", register_project, RegisterProject(**project_body(code)))

    assert registering_refused("PV2").context["scheme"] == "CCER"
    ets = {"scheme": "ETS", "subject_kind": "site", "subject_id": "PV3", "reference": "ETS 2025"}
    desk.run(REGISTRY, record_external_claim, RecordExternalClaim(**terms | ets))
    registering_refused("PV3")

    # The plant feeds a pile: whoever claims second is refused.
    pile = desk.project("dev-a", "PILE")
    desk.load("PILE", 61)
    link = LinkEnergy(source_meter="M-PV1", sink_kind="meter", sink_id="M-PILE")
    desk.run(GRID, link_energy, link)
    desk.assert_refused(GRID, "already_exists", link_energy, link)
    second = SubmitPeriod(project_id=pile.project_id, **span)
    refused = desk.assert_refused("dev-a", "double_claim", submit_period, second)
    assert refused.context["claimed_by"] == taken.monitoring_period_id
    desk.verify()
