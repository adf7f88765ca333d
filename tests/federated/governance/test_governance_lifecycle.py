"""The rules about versions, without a disk: who may do what when, and what then stands."""

from datetime import datetime, timedelta

import pytest
from hand_made import AT, DAY

from federated.errors import (
    InvalidTime,
    ModelCorrupt,
    ModelExists,
    ModelInUse,
    NothingToRollBack,
    NotPermitted,
    SecondPersonRequired,
    VersionFinal,
    VersionNotApproved,
    VersionNotFound,
)
from federated.governance import decisions
from federated.governance.decisions import Act
from federated.governance.lifecycle import APPROVAL_DAYS, Event, Kind, Lifecycle, Role, Status, fold

YEAR = timedelta(days=APPROVAL_DAYS)


class Book:
    """Events made by the rules, one after the other."""

    def __init__(self):
        self.events = []

    @property
    def standing(self):
        return fold("credit", self.events)

    def do(self, rule, *arguments, by="bank-gusu", at=AT):
        if (rule, len(arguments)) in ((decisions.approve, 1), (decisions.appoint, 2)):
            arguments += (frozenset({by}),)
        event = rule(self.standing, Act(by, at), *arguments)
        self.events.append(event)
        return event

    def register(self, version, at=AT):
        return self.do(decisions.register, version, {}, by="operator", at=at)

    def approved(self, *versions, at=AT):
        for version in versions:
            self.register(version, at)
            self.do(decisions.approve, version, at=at)
        return self

    def champion(self, *versions, at=AT):
        for version in versions:
            self.do(decisions.appoint, version, Role.CHAMPION, at=at)
        return self


def test_a_version_goes_from_registered_to_approved_to_expired():
    book = Book()
    book.register("v1")
    assert book.standing.status("v1", AT) is Status.REGISTERED
    book.do(decisions.approve, "v1", at=AT + DAY)
    standing = book.standing
    assert standing.status("v1", AT + DAY) is Status.APPROVED
    assert standing.status("v1", AT + DAY + YEAR - timedelta(microseconds=1)) is Status.APPROVED
    assert standing.status("v1", AT + DAY + YEAR) is Status.EXPIRED
    assert standing.record("v1").approved_by == "bank-gusu"


def test_a_version_is_approved_when_every_bank_concerned_has_said_yes():
    book, banks = Book(), frozenset({"bank-gusu", "bank-jinji", "bank-taihu"})
    book.register("v1")
    with pytest.raises(NotPermitted):
        book.do(decisions.approve, "v1", banks, by="bank-far")
    assert book.do(decisions.approve, "v1", banks).kind is Kind.ENDORSED
    with pytest.raises(SecondPersonRequired, match="bank-jinji, bank-taihu has not yet"):
        book.do(decisions.approve, "v1", banks)
    assert book.do(decisions.approve, "v1", banks, by="bank-taihu").kind is Kind.ENDORSED
    assert book.standing.status("v1", AT) is Status.REGISTERED
    with pytest.raises(VersionNotApproved):
        book.do(decisions.appoint, "v1", Role.CHAMPION)
    last = book.do(decisions.approve, "v1", banks, by="bank-jinji", at=AT + DAY)
    assert (last.kind, last.details) == (Kind.APPROVED, {"banks": "bank-gusu bank-jinji bank-taihu"})
    assert book.standing.status("v1", AT + DAY) is Status.APPROVED
    # The year after, all are asked anew; meanwhile one no ends it.
    assert book.do(decisions.approve, "v1", banks, at=AT + YEAR).kind is Kind.ENDORSED
    book.do(decisions.reject, "v1", by="bank-jinji", at=AT + YEAR)
    with pytest.raises(VersionFinal):
        book.do(decisions.approve, "v1", banks, by="bank-jinji", at=AT + YEAR)


def test_one_bank_nominates_what_scores_for_several_and_another_appoints_it():
    book, banks = Book().approved("v1", "v2", "v3"), frozenset({"bank-gusu", "bank-jinji"})
    champion = (Role.CHAMPION, banks)
    assert book.do(decisions.appoint, "v1", *champion).kind is Kind.NOMINATED
    with pytest.raises(SecondPersonRequired):
        book.do(decisions.appoint, "v1", *champion)
    assert (book.standing.champion, book.standing.nominated) == (None, ("v1", "bank-gusu"))
    # Another bank's word for another version is a nomination of its own, in place of the first.
    assert book.do(decisions.appoint, "v2", *champion, by="bank-jinji").kind is Kind.NOMINATED
    assert book.do(decisions.appoint, "v2", *champion).kind is Kind.APPOINTED
    assert (book.standing.champion, book.standing.nominated) == ("v2", None)
    # The brake is one bank's, and neither it nor a version's end leaves a nomination behind.
    for by in banks:
        book.do(decisions.appoint, "v1", *champion, by=by)
    book.do(decisions.appoint, "v3", *champion)
    assert book.do(decisions.roll_back).version == "v2"
    assert book.standing.nominated is None
    book.do(decisions.appoint, "v3", *champion)
    book.do(decisions.retire, "v3", by="bank-jinji")
    assert book.standing.nominated is None
    # What was approved anew takes two words anew.
    book.do(decisions.appoint, "v1", *champion)
    book.do(decisions.approve, "v1", at=AT + DAY)
    assert book.standing.nominated is None
    # A challenger answers nobody: one bank appoints it.
    assert book.do(decisions.appoint, "v1", Role.CHALLENGER, banks, at=AT + DAY).kind is Kind.APPOINTED


def test_another_than_the_registrant_approves_and_may_do_so_again():
    book = Book()
    book.register("v1")
    with pytest.raises(SecondPersonRequired):
        book.do(decisions.approve, "v1", by="operator")
    book.do(decisions.approve, "v1")
    book.do(decisions.approve, "v1", by="bank-taihu", at=AT + YEAR)
    assert book.standing.status("v1", AT + YEAR + 100 * DAY) is Status.APPROVED
    with pytest.raises(SecondPersonRequired):
        book.do(decisions.approve, "v1", by="operator", at=AT + YEAR)


@pytest.mark.parametrize("end", [decisions.reject, decisions.retire])
def test_rejected_and_retired_are_final(end):
    book = Book().approved("v1")
    book.do(end, "v1")
    for again in (decisions.approve, decisions.reject, decisions.retire):
        with pytest.raises(VersionFinal):
            book.do(again, "v1")
    with pytest.raises(VersionFinal):
        book.champion("v1")
    assert book.standing.status("v1", AT + 2 * YEAR) in decisions.FINAL


def test_only_an_approval_in_force_admits_to_a_role():
    book = Book()
    book.register("v1")
    with pytest.raises(VersionNotApproved):
        book.champion("v1")
    book.do(decisions.approve, "v1")
    with pytest.raises(VersionNotApproved):
        book.champion("v1", at=AT + YEAR)
    assert book.champion("v1", at=AT + YEAR - DAY).standing.champion == "v1"


def test_champion_and_challenger_differ():
    book = Book().approved("v1", "v2").champion("v1")
    with pytest.raises(ModelInUse):
        book.do(decisions.appoint, "v1", Role.CHALLENGER)
    with pytest.raises(ModelInUse):
        book.champion("v1")
    book.do(decisions.appoint, "v2", Role.CHALLENGER)
    assert (book.standing.role("v1"), book.standing.role("v2")) == (Role.CHAMPION, Role.CHALLENGER)
    with pytest.raises(ModelInUse):
        book.do(decisions.appoint, "v2", Role.CHALLENGER)
    book.champion("v2")
    assert (book.standing.champions, book.standing.challenger) == (("v1", "v2"), None)


def test_a_challenger_is_withdrawn_or_leaves_with_its_version():
    book = Book().approved("v1", "v2", "v3").champion("v1")
    with pytest.raises(VersionNotFound):
        book.do(decisions.withdraw_challenger, "v2")
    book.do(decisions.appoint, "v2", Role.CHALLENGER)
    book.do(decisions.withdraw_challenger, "v2")
    assert book.standing.challenger is None
    for version, end in (("v2", decisions.retire), ("v3", decisions.reject)):
        book.do(decisions.appoint, version, Role.CHALLENGER)
        book.do(end, version)
        assert book.standing.challenger is None


def test_rollback_goes_further_back_each_time():
    book = Book().approved("v1", "v2", "v3").champion("v1", "v2", "v3")
    assert book.do(decisions.roll_back).version == "v2"
    assert book.do(decisions.roll_back).version == "v1"
    with pytest.raises(NothingToRollBack):
        book.do(decisions.roll_back)


def test_rollback_skips_what_may_no_longer_score():
    book = Book().approved("v1").approved("v2", "v3", at=AT + 100 * DAY).champion("v1", "v2", "v3", at=AT + 100 * DAY)
    book.do(decisions.retire, "v2", at=AT + 100 * DAY)
    assert book.standing.rollback_target(AT + 200 * DAY) == 0
    with pytest.raises(NothingToRollBack):
        book.do(decisions.roll_back, at=AT + YEAR)
    book.do(decisions.roll_back, at=AT + 200 * DAY)
    assert book.standing.champions == ("v1",)


def test_a_version_that_returned_rolls_back_to_the_one_between():
    book = Book().approved("v1", "v2").champion("v1", "v2", "v1")
    book.do(decisions.roll_back)
    assert book.standing.champions == ("v1", "v2")


def test_the_champion_is_not_ended_while_it_scores():
    book = Book().approved("v1", "v2").champion("v1")
    for end in (decisions.retire, decisions.reject):
        with pytest.raises(ModelInUse):
            book.do(end, "v1")
    book.champion("v2")
    book.do(decisions.retire, "v1")
    assert book.standing.status("v1", AT) is Status.RETIRED


def test_names_are_known_and_new():
    book = Book()
    book.register("v1")
    with pytest.raises(ModelExists):
        book.register("v1")
    for rule in (decisions.approve, decisions.reject, decisions.retire):
        with pytest.raises(VersionNotFound):
            book.do(rule, "v9")


def test_time_has_a_zone_and_does_not_run_back():
    book = Book().approved("v1", at=AT + DAY)
    with pytest.raises(InvalidTime):
        book.champion("v1", at=AT)
    with pytest.raises(InvalidTime):
        Act("bank-gusu", datetime(2026, 11, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "event",
    [
        Event(2, "credit", "v1", Kind.REGISTERED, "operator", AT),
        Event(1, "other", "v1", Kind.REGISTERED, "operator", AT),
        Event(1, "credit", "v1", Kind.APPROVED, "bank-gusu", AT),
        Event(1, "credit", "v1", Kind.APPOINTED, "bank-gusu", AT, details={"role": "champion"}),
        Event(1, "credit", "v1", Kind.ROLLED_BACK, "bank-gusu", AT),
    ],
)
def test_events_that_cannot_follow_are_named(event):
    with pytest.raises(ModelCorrupt, match=f"event {event.number}"):
        fold("credit", [event])


def test_nothing_stands_before_the_first_event():
    standing = fold("credit", [])
    assert standing == Lifecycle("credit")
    assert (standing.champion, standing.challenger, standing.rollback_target(AT)) == (None, None, None)
