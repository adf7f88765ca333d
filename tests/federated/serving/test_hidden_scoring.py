"""Scores by a function whose weights banks alone know: as good as those in clear, and tried from every side."""

import json
import shutil
import threading
from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from hidden_world import give, hide
from small_network import AT

from federated.consent.record import Purpose
from federated.errors import (
    AggregationFailed,
    ConsentMissing,
    ConsentWithdrawn,
    ModelCorrupt,
    NodeUnavailable,
    NotPermitted,
    QueryBudgetSpent,
    SealBroken,
    VersionNotApproved,
)
from federated.governance.decisions import Act
from federated.governance.lifecycle import Role
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.models.served.hidden import HiddenFunction
from federated.models.served.reasons import POINT, RankedReason, Reason, strength_of
from federated.models.served.scaling import score_of
from federated.nodes.budget import QueryBudget
from federated.nodes.functions import KEPT, UNUSED_MAX
from federated.nodes.keys import dealing_key, function_secret
from federated.nodes.node import PartialRequest
from federated.nodes.store import NodeStore
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.hidden_function import OPENED, BankDraws
from federated.privacy.vertical.hidden_weights import BankWeights
from federated.serving import Basis, Electricity, Network, ScoreQuery
from federated.serving.hidden.common import hidden_of, shape_of
from federated.serving.hidden.naming import named_places
from federated.serving.hidden.seals import PAIR, Link, dealing_hash, dealt_to, query_hash
from simulations.worlds.wallet import Wallet

NOW = AT + timedelta(days=1)
BANK, GRID = "bank-gusu", "grid-sip"


@pytest.fixture(scope="module")
def hidden(trained, tmp_path_factory):
    home = tmp_path_factory.mktemp("hidden") / "home"
    shutil.copytree(trained[0], home)
    return hide(home, trained[1].tables, AT)


@pytest.fixture
def home(hidden, tmp_path):
    shutil.copytree(hidden.home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def network(home):
    opened = Network.open(home, lambda: NOW)
    yield opened
    opened.close()


def query(subject, bank=BANK, **changes):
    return replace(ScoreQuery(bank, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW), **changes)


def customers(trained, bank=BANK, grid=GRID, opens=True):
    """Subjects of a bank whom a grid company serves, with their places in the tables."""
    tables = trained[1].tables
    return [
        (tables.subjects[i], i)
        for i in np.flatnonzero(tables.opens_electricity == opens)
        if (tables.bank_of[i], tables.grid_of[i]) == (bank, grid)
    ]


def request_of(subject, version, bank=BANK):
    return PartialRequest(bank, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW, version)


def score_uses(node, subject):
    """What a node noted of scores of a subject, newest first."""
    return [use for use in node.uses_of(subject) if use.action.value.endswith("score")]


class Steps:
    """A query step by step, as an operator drives it."""

    def __init__(self, network, hidden, subject, *, explained=True, version=None):
        self.sides = network._conversations
        self.request = request_of(subject, version or hidden.version)
        self.bank, self.grid = self.sides.banks[BANK], self.sides.grids[GRID]
        self.explained = explained
        self.opening = self.bank.begin(self.request, GRID, explained=explained)
        wanted = (self.request.model, BANK, GRID, explained)
        pair = self.sides._begun(wanted, self.opening, hidden.split.function)
        self.grid_nonce, self.dealt = pair.grid, pair.dealt

    def first(self, explained=None):
        explained = self.explained if explained is None else explained
        nonces = self.grid_nonce, self.opening.nonce
        self.said_first = self.grid.first(self.request, *nonces, self.dealt.grid, explained=explained)
        return self.said_first

    def told(self):
        return self.bank.told(self.opening.nonce, self.grid_nonce, self.said_first, self.dealt.bank)

    def shuffled(self, told):
        return self.grid.shuffled(self.grid_nonce, told)

    def asked(self, shuffled):
        return self.bank.asked(self.opening.nonce, shuffled)

    def answered(self, asked):
        return self.grid.answered(self.grid_nonce, asked)

    def finished(self, answered):
        return self.bank.finished(self.opening.nonce, answered)

    def all(self):
        self.first()
        return self.finished(self.answered(self.asked(self.shuffled(self.told()))))


def test_scores_and_reasons_are_those_of_the_function_in_clear(network, hidden, trained):
    manifest = ModelRegistry(network.oversight.governance._folder.parents[1]).manifest("credit", "v0003-plain")
    other_reasons = grid_reasons = asked = 0
    for bank in network.bank_ids:
        for grid in network.grid_ids:
            for subject, i in customers(trained, bank, grid)[:25]:
                score = network.score(query(subject, bank))
                assert (score.basis, score.electricity) == (Basis.JOINT, Electricity.INCLUDED)
                request = replace(request_of(subject, "v0003-plain", bank), at=NOW)
                plain = network._evaluate(request, manifest, (grid,))
                assert as_near(score.score, clear_logit(hidden, trained, i, bank))
                asked, grid_reasons = asked + 1, grid_reasons + any(r.code[0] == "G" for r in score.reasons)
                if score.reasons != plain.reasons:
                    other_reasons += 1
                    assert only_ties(hidden, trained, i, score.reasons, plain.reasons)
    assert asked >= 100
    assert grid_reasons > asked / 2
    assert other_reasons < asked / 4


def clear_logit(hidden, trained, row, bank):
    """The calibrated logit of a customer by the function in clear."""
    tables, model = trained[1].tables, hidden.model
    logit = model.joint_bank.logits(tables.bank_values[row][None, list(tables.schema.bank.lending)])[0]
    logit += hidden.plain.logits(tables.grid_values[row][None, list(tables.schema.grid.lending)])[0]
    return model.calibrated(logit, bank, alone=False)


def as_near(score, logit):
    """Whether this is the score of the logit; one that is as good as half a point may come out on either side."""
    return score in {score_of(logit + POINT * 2**-9), score_of(logit - POINT * 2**-9)}


def only_ties(hidden, trained, row, got, expected):
    """Whether reasons differ only by those that a point could decide."""
    tables = trained[1].tables
    values = tables.grid_values[row][list(tables.schema.grid.lending)]
    points = hidden.plain.explain(values)[1] / POINT
    of = {f"G{number + 1:02d}": p for number, p in zip(tables.schema.grid.lending, points, strict=True)}
    moved = [r.code for r in (*got, *expected) if r.code[0] == "G"]
    near = [of[code[:3]] for code in moved]
    # A strength, the least one and the order of equals change where a point more or less decides.
    ranks = {strength_of((p - 1.01) * POINT) != strength_of((p + 1.01) * POINT) for p in near}
    ordered = sorted(points)[-5:]
    return any(ranks) or min(np.diff(ordered)) <= 2.02 or any(abs(p - 2.5) <= 1.01 for p in points)


def test_a_version_in_clear_goes_on_beside_it(network, hidden, trained):
    """Both partial scores of the open protocol work, and neither is one of a hidden function."""
    subject, _ = customers(trained)[0]
    plain = request_of(subject, "v0003-plain")
    theirs = network.grid_node(GRID).partial(plain)
    own = network.bank_node(BANK).partial(plain, theirs)
    assert own.reasons
    asked = request_of(subject, hidden.version)
    with pytest.raises(NotPermitted, match="by itself"):
        network.grid_node(GRID).partial(asked)
    with pytest.raises(NotPermitted, match="by itself"):
        network.bank_node(BANK).partial(asked, replace(theirs, sealed=b""), explained=False)
    assert network.grid_node(GRID).uses_of(subject)[0].outcome == "not_permitted"
    with pytest.raises(NotPermitted, match="hides no function"):
        network._conversations.banks[BANK].begin(plain, GRID)


def test_it_is_registered_and_read_back(hidden):
    model = ModelRegistry(hidden.home).load("credit", hidden.version)
    assert isinstance(model.joint_grid, HiddenFunction)
    assert model.joint_grid.function_id == hidden.split.function.function_id
    held = hidden.split.secret
    weights = (hidden.home / "registry" / "credit" / hidden.version / "weights.npz").read_bytes()
    assert held[:32] not in weights


def test_consent_scope_and_files_are_as_with_a_function_in_clear(network, trained):
    tables = trained[1].tables
    closed = customers(trained, opens=False)[0][0]
    assert network.score(query(closed)).electricity is Electricity.NOT_CONSENTED
    unserved = next(
        s for s, b, g in zip(tables.subjects, tables.bank_of, tables.grid_of, strict=True) if b == BANK and not g
    )
    assert network.score(query(unserved)).electricity is Electricity.NOT_CONSENTED
    with pytest.raises(ConsentMissing):
        network.score(query(closed, consent_id="CONS-of-nobody"))
    subject, _ = customers(trained)[0]
    network.score(query(subject))
    assert [u.outcome for u in network.grid_node(GRID).uses_of(subject)][:1] == ["answered"]
    assert [u.outcome for u in network.bank_node(BANK).uses_of(subject)][:1] == ["answered"]


def test_the_grid_companys_budget_counts_answers_and_refuses(network, trained):
    grid = network.grid_node(GRID)
    grid.set_budget(QueryBudget(timedelta(days=30), 2, 1_000, 1.0))
    subject, _ = customers(trained)[3]
    for _ in range(2):
        network.score(query(subject))
    with pytest.raises(QueryBudgetSpent):
        network.score(query(subject))
    assert grid.uses_of(subject)[0].outcome == "query_budget_spent"


@pytest.mark.parametrize("at", ["shuffled", "answered"])
def test_a_consent_withdrawn_between_steps_ends_the_query(network, hidden, trained, at):
    subject, _ = customers(trained)[1]
    steps = Steps(network, hidden, subject)
    steps.first()
    told = steps.told()
    asked = steps.asked(steps.shuffled(told)) if at == "answered" else None
    wallet = Wallet.open(trained[0])
    withdraw(network, wallet, subject)
    with pytest.raises(ConsentWithdrawn):
        steps.shuffled(told) if at == "shuffled" else steps.answered(asked)
    assert network.grid_node(GRID).uses_of(subject)[0].outcome == "consent_withdrawn"


def test_a_consent_withdrawn_at_the_bank_alone_ends_it_there(network, hidden, trained):
    subject, _ = customers(trained)[2]
    steps = Steps(network, hidden, subject)
    steps.first()
    answered = steps.answered(steps.asked(steps.shuffled(steps.told())))
    wallet = Wallet.open(trained[0])
    signature = wallet.sign_withdrawal(network.consent(f"CONS-{subject}", BANK))
    network.bank_node(BANK).withdraw_consent(f"CONS-{subject}", BANK, NOW, subject, signature)
    with pytest.raises(ConsentWithdrawn):
        steps.finished(answered)


def withdraw(network, wallet, subject):
    given = network.consent(f"CONS-{subject}", BANK)
    network.withdraw_consent(f"CONS-{subject}", BANK, NOW, subject, wallet.sign_withdrawal(given))


def test_the_operator_sees_sealed_messages_of_one_length(network, hidden, trained):
    """Of each step: nothing readable, the same size whoever it is about, and other bytes for the same query again."""
    seen = []
    for subject, _ in customers(trained)[:12] + customers(trained)[:1]:
        steps = Steps(network, hidden, subject)
        first = steps.first()
        told = steps.told()
        shuffled = steps.shuffled(told)
        asked = steps.asked(shuffled)
        answered = steps.answered(asked)
        assert steps.finished(answered).score
        seen.append((steps.dealt.grid, steps.dealt.bank, first, told, shuffled, asked, answered))
    assert all(len({len(message) for message in step}) == 1 for step in zip(*seen, strict=True))
    assert all(len(set(step)) == len(seen) for step in zip(*seen, strict=True))
    # All that is passed on is bytes, and what an operator's code is told of a query is what the bank is told.
    assert {f.name for f in fields(type(steps.dealt))} == {"grid", "bank"}
    whole = np.frombuffer(b"".join(message[12:-16] for step in seen for message in step), dtype=np.uint8)
    counts = np.bincount(whole, minlength=256)
    assert ((counts - len(whole) / 256) ** 2 / (len(whole) / 256)).sum() < 400


STEPS = ("first", "told", "shuffled", "asked", "answered")


@pytest.mark.parametrize("step", [*STEPS, "dealt to the grid company", "dealt to the bank"])
@pytest.mark.parametrize("how", ["changed", "of another query", "cut", "gone"])
def test_a_message_that_was_changed_or_exchanged_on_the_way_is_found(network, hidden, trained, step, how):
    subject, _ = customers(trained)[4]

    def passed(which):
        """All messages of a query up to `step`, and the query."""
        steps = Steps(network, hidden, which)
        if step == "dealt to the grid company":
            return steps, steps.dealt.grid
        message = steps.first()
        if step == "dealt to the bank":
            return steps, steps.dealt.bank
        for name in STEPS[1 : STEPS.index(step) + 1]:
            message = getattr(steps, name)(*(() if name == "told" else (message,)))
        return steps, message

    steps, message = passed(subject)
    wrong = {
        "changed": bytes([*message[:-1], message[-1] ^ 1]),
        "of another query": passed(subject)[1],
        "cut": message[:-1],
        "gone": b"",
    }[how]
    receive = {
        "dealt to the grid company": lambda m: (setattr(steps, "dealt", replace(steps.dealt, grid=m)), steps.first()),
        "dealt to the bank": lambda m: (setattr(steps, "dealt", replace(steps.dealt, bank=m)), steps.told()),
        "first": lambda m: (setattr(steps, "said_first", m), steps.told()),
        "told": steps.shuffled,
        "shuffled": steps.asked,
        "asked": steps.answered,
        "answered": steps.finished,
    }[step]
    with pytest.raises(SealBroken):
        receive(wrong)
    at_bank = step in {"dealt to the bank", "first", "shuffled", "answered"}
    node = network.bank_node(BANK) if at_bank else network.grid_node(GRID)
    assert node.uses_of(subject)[0].outcome == "seal_broken"
    # A step that failed is not repeated: whoever tries all has one try a query.
    with pytest.raises(NotPermitted, match="waited for"):
        receive(message)


def test_what_is_no_nonce_begins_nothing(network, hidden, trained):
    """Two nonces of other lengths could be one query's to one side and another's to the other."""
    steps = Steps(network, hidden, customers(trained)[4][0])
    with pytest.raises(SealBroken, match="no nonce"):
        steps.grid.first(steps.request, steps.grid_nonce, steps.opening.nonce + b"more", steps.dealt.grid)


def test_a_message_of_one_customer_is_none_of_another(network, hidden, trained):
    (first, _), (second, _) = customers(trained)[4:6]
    steps, others = Steps(network, hidden, first), Steps(network, hidden, second)
    others.first()
    steps.first()
    steps.said_first = others.said_first
    with pytest.raises(SealBroken):
        steps.told()


def test_every_step_of_a_query_is_answered_once(network, hidden, trained):
    """A second answer to another question of the same query would open four more places, or the order."""
    steps = Steps(network, hidden, customers(trained)[6][0])
    steps.first()
    with pytest.raises(NotPermitted):
        steps.first()
    told = steps.told()
    with pytest.raises(NotPermitted):
        steps.told()
    shuffled = steps.shuffled(told)
    with pytest.raises(NotPermitted):
        steps.shuffled(told)
    asked = steps.asked(shuffled)
    answered = steps.answered(asked)
    for again in (lambda: steps.answered(asked), lambda: steps.asked(shuffled)):
        with pytest.raises(NotPermitted):
            again()
    assert steps.finished(answered)
    with pytest.raises(NotPermitted):
        steps.finished(answered)


def test_a_query_without_reasons_opens_nothing_more(network, hidden, trained):
    subject, _ = customers(trained)[7]
    steps = Steps(network, hidden, subject, explained=False)
    first = steps.first()
    with pytest.raises(NotPermitted, match="no reasons"):
        steps.told()
    steps = Steps(network, hidden, subject, explained=False)
    first = steps.first()
    answer = steps.bank.scored(steps.opening.nonce, steps.grid_nonce, first, steps.dealt.bank)
    assert answer.reasons == ()
    assert abs(answer.score - network.score(query(subject)).score) <= 1
    with pytest.raises(NotPermitted):
        steps.grid.shuffled(steps.grid_nonce, b"")
    # A query that was begun without reasons is none with reasons to the other side.
    steps = Steps(network, hidden, subject, explained=False)
    with pytest.raises(SealBroken):
        steps.first(explained=True)


def test_a_bank_with_other_weights_is_refused_by_itself_and_reads_nothing(network, home, hidden, trained):
    """A changed node: its weights read a column. Its own check refuses; past it, the grid company does."""
    subject, _ = customers(trained)[8]
    side = network._conversations.banks[BANK]
    held = BankWeights.from_bytes(hidden.split.secret)
    own = np.zeros_like(held.numbers)
    own[1] = 1.0
    store = network.bank_node(BANK).store
    store.drop_state([function_secret(hidden.split.function.function_id)])
    network.bank_node(BANK).keep_function(hidden.split.function.function_id, BankWeights(held.key, own).to_bytes())
    side._weights._made.clear()
    with pytest.raises(ModelCorrupt):
        network.score(query(subject))
    assert not score_uses(network.grid_node(GRID), subject)
    # The attack past its own check: M that is not D + V.
    store.drop_state([function_secret(hidden.split.function.function_id)])
    network.bank_node(BANK).keep_function(hidden.split.function.function_id, hidden.split.secret)
    read = []
    for _ in range(2):
        steps = Steps(network, hidden, subject)
        begun = side._begun.take(steps.opening.nonce)
        column = np.zeros_like(begun.weights.weights)
        column[0] = np.uint64(1 << 16)
        side._begun.put(steps.opening.nonce, replace(begun, weights=replace(begun.weights, weights=column)))
        steps.first()
        told = steps.told()
        read.append(side._told._waiting[steps.opening.nonce].points)
        with pytest.raises(AggregationFailed, match="not those of the weights"):
            steps.shuffled(told)
        assert network.grid_node(GRID).uses_of(subject)[0].outcome == "aggregation_failed"
    # What its value says is a uniform number, another one each time: two by chance as near are one of thousands.
    assert abs(read[0] - read[1]) > 0.25


def test_a_grid_company_with_other_masked_weights_answers_nothing(network, hidden, trained):
    subject, _ = customers(trained)[9]
    grid, of = network.grid_node(GRID), hidden.split.function.function_id
    with pytest.raises(NotPermitted, match="keeps another"):
        grid.keep_function(of, hidden.split.masked["grid-gaoxin"])
    grid.store.drop_state([function_secret(of)])
    grid.keep_function(of, hidden.split.masked["grid-gaoxin"])
    with pytest.raises(ModelCorrupt, match="masked weights"):
        network.score(query(subject))
    assert network.grid_node(GRID).uses_of(subject)[0].outcome == "model_corrupt"


def test_a_node_without_its_part_leaves_a_marked_bank_only_answer(trained, tmp_path):
    """One that was never told, or a bank that joined later."""
    home = tmp_path / "home"
    shutil.copytree(trained[0], home)
    made = hide(home, trained[1].tables, AT, kept=False)
    subject, _ = customers(trained)[10]
    network = Network.open(home, lambda: NOW)
    assert network.score(query(subject)).electricity is Electricity.UNAVAILABLE
    assert not score_uses(network.grid_node(GRID), subject)
    network.close()
    give(home, made.split)
    network = Network.open(home, lambda: NOW)
    assert network.score(query(subject)).electricity is Electricity.INCLUDED
    network.close()


def dealer(hidden, bank=BANK, grid=GRID):
    return dealer_of(bank, grid, hidden.split.function.parties)


def test_a_dealer_that_is_down_leaves_a_marked_bank_only_answer_and_spends_nothing(home, hidden, trained):
    subject, _ = customers(trained)[11]
    down = dealer(hidden)
    for file in home.glob(f"nodes/{down}.db*"):
        file.unlink()
    (home / "nodes" / f"{down}.db").write_text("no database " * 400)
    network = Network.open(home, lambda: NOW)
    score = network.score(query(subject))
    assert (score.basis, score.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    assert not score_uses(network.grid_node(GRID), subject)
    other = next(g for g in network.grid_ids if dealer(hidden, BANK, g) != down) if len(network.grid_ids) > 1 else None
    if other is not None:
        served = customers(trained, BANK, other)[0][0]
        assert network.score(query(served)).electricity is Electricity.INCLUDED
    network.close()


def test_dealers_are_of_both_kinds_and_deal_to_their_own_pairs_alone(network, hidden, trained):
    subject, _ = customers(trained)[12]
    own = dealer(hidden)
    dealers = {dealer(hidden, b, g) for b in network.bank_ids for g in network.grid_ids}
    assert {name.split("-")[0] for name in dealers} == {"bank", "grid"}
    sides = network._conversations
    for name, side in sides.dealers.items():
        if name not in {own, BANK, GRID}:
            with pytest.raises(NotPermitted, match="does not deal"):
                side.deal(hidden.version, BANK, GRID, [b"q" * 32], explained=True)
    opening = sides.banks[BANK].begin(request_of(subject, hidden.version), GRID, sides.operator.public)
    with pytest.raises(NotPermitted, match="a node deals"):
        sides.banks[BANK].mask_key(opening.nonce, b"n" * 16)
    # An operator that deals where a node should is not listened to: what it seals is sealed by another key.
    steps = Steps(network, hidden, subject)
    purpose = dealt_to(BANK, BANK, GRID, hidden.split.function.function_id, explained=True)
    key = Link(network.bank_node(BANK).dealt_key(sides.operator.public), b"q" * 32, purpose).seal(
        "key of the mask of weights",
        np.frombuffer(hidden.split.keys[GRID], dtype="<u8").astype(np.uint64),
    )
    forged = sides.operator.deal(
        hidden.split.function, network.bank_node(BANK), network.grid_node(GRID), b"q" * 32, key, explained=True
    )
    with pytest.raises(SealBroken):
        steps.grid.first(steps.request, steps.grid_nonce, steps.opening.nonce, forged.grid)


@pytest.fixture
def several(home, trained):
    """Versions of functions of other sizes beside the hidden one, all approved: a network that has them."""
    versions = {f"v000{4 + number}": trees for number, trees in enumerate((4, 8, 30, 36))}
    for number, (version, trees) in enumerate(versions.items()):
        hide(home, trained[1].tables, AT, version=version, champion=False, trees=trees, seed=20 + number)
    opened = Network.open(home, lambda: NOW)
    yield opened, list(versions)
    opened.close()


def test_a_hash_that_is_dealt_again_for_another_function_tells_a_bank_nothing(several, hidden, trained):
    """What a dealer deals for one version are words of the masks of no other: else a bank that asks for one hash under
    several versions reads the grid company's columns."""
    network, others = several
    (subject, place), tables = customers(trained)[12], trained[1].tables
    steps, models = Steps(network, hidden, subject), network._conversations.banks[BANK]._models
    name, function = dealer(hidden), hidden.split.function
    nonces, of = (steps.opening.nonce, steps.grid_nonce), function.function_id
    hashed = dealing_hash(*nonces, of, explained=True)
    asked = query_hash(steps.request.text(), *nonces, of, explained=True)
    node, entries = network.bank_node(BANK), shape_of(function).entries
    masked = Link(node.mask_key(GRID), asked, PAIR).open("first", steps.first())[:entries]
    truth = np.asarray(function.entries(tables.grid_values[place][list(tables.schema.grid.lending)])).ravel()
    read = []
    for version in others:
        other = hidden_of(models.approved(version, NOW))
        assert dealer_of(BANK, GRID, other.parties) == name
        (dealt,) = network._conversations.dealers[name].deal(version, BANK, GRID, [hashed], explained=True)
        purpose = dealt_to(BANK, BANK, GRID, other.function_id, explained=True)
        link, shape = Link(node.mask_key(name), hashed, purpose), shape_of(other)
        words, places = link.open("dealt", dealt.bank), BankDraws(shape, link.tape).places
        for number in range(OPENED):
            at = shape.entries + 1 + shape.features * (number + 1) + int(places[number])
            if at < entries:
                said = (masked[[at]] + words[[number]]).astype(np.int64)[0]
                read.append((int(said) / (1 << 16), float(truth[at])))
        # Nor does what was dealt for one open what was dealt for another, or for another bank.
        for wrong in (dealt_to(BANK, BANK, GRID, of, explained=True), purpose.replace("\0" + BANK, "\0bank-jinji", 2)):
            with pytest.raises(SealBroken):
                Link(node.mask_key(name), hashed, wrong).open("dealt", dealt.bank)
    assert len(read) >= 4
    assert not any(abs(said - true) < 1e-4 for said, true in read), read


def test_a_dealer_that_was_given_another_mask_deals_nothing(network, hidden, trained):
    subject, _ = customers(trained)[12]
    name, of = dealer(hidden), hidden.split.function.function_id
    node = (network._banks | network._grids)[name]
    with pytest.raises(NotPermitted, match="keeps another"):
        node.keep_dealing(of, GRID, b"w" * 32)
    node.store.drop_state([dealing_key(of, GRID)])
    node.keep_dealing(of, GRID, b"w" * 32)
    with pytest.raises(ModelCorrupt, match="key of"):
        network.score(query(subject))
    assert not score_uses(network.grid_node(GRID), subject)


def test_a_grid_company_learns_from_no_refusal_which_features_are_named(network, hidden, trained):
    """It says nonsense of every feature in turn: the query is answered all the same, with its other reasons."""
    subject, _ = customers(trained)[1]
    features = hidden.plain.n_features
    network.grid_node(GRID).set_budget(QueryBudget(timedelta(days=30), 2 * features, 1_000, 1.0))
    right = Steps(network, hidden, subject).all()
    left = []
    for j in range(features):
        steps = Steps(network, hidden, subject)
        steps.first()
        shuffled = steps.shuffled(steps.told())
        waiting = steps.grid._asked._waiting[steps.grid_nonce]
        said = waiting.said.copy()
        said[j] = np.uint64(2**60 + j)
        steps.grid._asked.put(steps.grid_nonce, replace(waiting, said=said))
        left.append(steps.finished(steps.answered(steps.asked(shuffled))))
    assert all(abs(answer.score - right.score) <= 1 for answer in left)
    of_grid = {reason.code for reason in right.reasons if reason.code[0] == "G"}
    gone = {code for code in of_grid if any(code not in {r.code for r in answer.reasons} for answer in left)}
    assert gone == of_grid != set()


def test_one_bank_and_one_grid_company_have_the_operator_deal(trained, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(trained[0], home)
    made = hide(home, trained[1].tables, AT, banks=(BANK,), grids=(GRID,))
    assert made.split.dealing() == {}
    network = Network.open(home, lambda: NOW)
    for subject, i in customers(trained)[:10]:
        score = network.score(query(subject))
        assert as_near(score.score, clear_logit(made, trained, i, BANK))
        assert score.electricity is Electricity.INCLUDED
    # A pair that has no part in it is answered by the bank alone.
    outside = customers(trained, "bank-taihu", GRID)[0][0]
    assert network.score(query(outside, "bank-taihu")).electricity is Electricity.UNAVAILABLE
    # Without an operator's key nobody deals.
    sides = network._conversations
    request = request_of(customers(trained)[0][0], made.version)
    opening, (nonce,) = sides.banks[BANK].begin(request, GRID), sides.grids[GRID].begin(BANK)
    assert opening.dealer is None
    with pytest.raises(NodeUnavailable, match="nobody deals"):
        sides.grids[GRID].first(request, nonce, opening.nonce, b"")
    network.close()


def test_an_unapproved_version_is_computed_by_none_of_the_three(home, trained):
    """Rejected while queries are under way: by each party's own look at the register."""
    later = hide(home, trained[1].tables, AT, "v0006", seed=6, champion=False)
    network, subject = Network.open(home, lambda: NOW), customers(trained)[13][0]
    at_grid, at_bank = (Steps(network, later, subject) for _ in range(2))
    at_bank.first()
    Governance(home, ModelRegistry(home)).reject(later.version, Act("bank-taihu", AT))
    for ask in (
        at_grid.first,
        at_bank.told,
        lambda: network._conversations.dealers[dealer(later)].deal("v0006", BANK, GRID, [b"q" * 32], explained=True),
        lambda: Steps(network, later, subject),
    ):
        with pytest.raises(VersionNotApproved):
            ask()
    for node in (network.grid_node(GRID), network.bank_node(BANK)):
        assert score_uses(node, subject)[0].outcome == "version_not_approved"
    network.close()


def test_a_bank_asks_for_its_own_customers_alone(network, hidden, trained):
    with pytest.raises(NotPermitted, match="its own"):
        network._conversations.banks[BANK].begin(request_of("anybody", hidden.version, "bank-taihu"), GRID)


def test_a_grid_company_that_hangs_is_not_waited_for(network, trained, monkeypatch):
    subject, _ = customers(trained)[14]
    monkeypatch.setattr("federated.serving.network.GRID_DEADLINE_S", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(network._conversations.grids[GRID], "first", lambda *_, **__: go_on.wait(10) and None)
    score = network.score(query(subject))
    go_on.set()
    assert (score.basis, score.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)


def test_a_challenger_of_either_kind_scores_in_the_shadow(home, hidden, trained):
    governance = Governance(home, ModelRegistry(home))
    hide(home, trained[1].tables, AT, "v0005", seed=5, champion=False)
    governance.appoint("v0005", Role.CHALLENGER, Act(BANK, AT))
    network = Network.open(home, lambda: NOW)
    asked = customers(trained)[15:18]
    for subject, _ in asked:
        network.score(query(subject))
    shadow = network.monitoring(NOW).shadow
    assert shadow is not None
    uses = score_uses(network.grid_node(GRID), asked[0][0])
    assert [(u.action.value, u.outcome) for u in uses] == [("shadow_score", "answered"), ("score", "answered")]
    network.close()


def test_what_a_grid_company_keeps_and_hears_says_nothing_of_labels(network, hidden, trained):
    """Over many queries it regresses labels and its columns' contributions on all that it was told: nothing."""
    tables, told, labels, leans = trained[1].tables, [], [], []
    for subject, i in customers(trained)[:60]:
        for _ in range(2):
            steps = Steps(network, hidden, subject)
            steps.first()
            message = steps.told()
            query_at_grid = steps.grid._told._waiting[steps.grid_nonce]
            numbers = query_at_grid.link.open("told", message)
            told.append((numbers[: hidden.plain.n_features] >> np.uint64(63)).astype(float))
            labels.append(float(tables.labels[i]))
            leans.append(hidden.plain.explain(tables.grid_values[i][list(tables.schema.grid.lending)])[0])
    told = np.array(told)
    for truth in (np.array(labels), np.array(leans)):
        correlations = [np.corrcoef(column, truth)[0, 1] for column in told.T]
        assert np.abs(correlations).max() < 5 / np.sqrt(len(truth))


def test_stores_hold_no_secret_in_the_clear(home, hidden):
    held = BankWeights.from_bytes(hidden.split.secret)
    whole = b"".join(path.read_bytes() for path in sorted((home / "nodes").iterdir()))
    assert held.key not in whole
    assert held.numbers.astype("<f8").tobytes()[:64] not in whole
    for masked in hidden.split.masked.values():
        assert masked.astype("<u8").tobytes()[:64] not in whole
    for key in hidden.split.keys.values():
        assert key not in whole


def test_functions_that_nobody_registered_go_and_those_in_use_stay(home, hidden):
    network = Network.open(home, lambda: NOW)
    bank, grid, of = network.bank_node(BANK), network.grid_node(GRID), hidden.split.function.function_id
    for k in range(UNUSED_MAX + 3):
        bank.keep_function(f"fold{k}", bytes([k]) * 40)
        grid.keep_function(f"fold{k}", np.full(5, k, dtype=np.uint64))
        grid.keep_dealing(f"fold{k}", "grid-x", bytes([k]) * 32)
    for node in (bank, grid):
        assert node.kept_function(of)
        for k in range(3):
            with pytest.raises(NodeUnavailable, match="no part"):
                node.kept_function(f"fold{k}")
        assert node.kept_function(f"fold{UNUSED_MAX + 2}")
        assert len([of for of in json.loads(node.store.state(KEPT)) if of.startswith("fold")]) == UNUSED_MAX
    with pytest.raises(NodeUnavailable, match="was not told to deal"):
        grid.kept_dealing("fold0", "grid-x")
    assert grid.kept_dealing("fold4", "grid-x") == bytes([4]) * 32
    network.close()
    store = NodeStore(home / "nodes" / f"{BANK}.db")
    assert not any("fold0" in name for (name,) in store._db.execute("SELECT key FROM state"))
    store.close()


def test_four_are_named_by_the_rule_for_both_parties():
    own = [RankedReason(Reason(f"B0{k}H", "", ""), strength) for k, strength in ((1, 4), (2, 2), (3, 1))]
    points = np.array([2, 30, -50, 3, 10, 9])
    # 30 is 6 steps, 10 and 9 are 2 like B02, which comes first; 3 is one step like B03, 2 is none.
    assert named_places(points, own, "G") == [1, 4]
    assert named_places(points, [], "G") == [1, 4, 5, 3]
    assert named_places(np.array([2, -1]), own, "G") == []
