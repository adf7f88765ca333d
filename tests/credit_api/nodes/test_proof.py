"""What a bank decided it has signed: nobody makes a decision up for it, and it denies none."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nodes_apart import BANK, GRID, NOW, Member, version_of
from typer.testing import CliRunner

from credit_api.cli.customers import node_app
from credit_api.nodes import proof
from credit_api.nodes.messages import Decided, Decisions, Done, Version
from credit_api.nodes.register import Register
from federated.errors import ChannelRefused
from federated.governance.lifecycle import Kind
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance

OTHER = "bank-jinji"


@pytest.fixture
def world(apart):
    apart.serve(BANK, OTHER, GRID)
    operator, made = Member(apart), version_of(apart)
    for name in (BANK, OTHER, GRID):
        seat = operator.seat(name)
        seat.hand_over(*made)
        seat.close()
    return apart


def told_of(apart, **changes):
    sha256 = apart.serving[GRID][0].register.sha256("v0009")
    said = {"version": "v0009", "manifest_sha256": sha256, "act": "approve", "note": "looked at it"}
    return Decided(**said | {"command": "c" * 16} | changes)


def event_of(apart, org=GRID):
    return apart.serving[org][0].oversight.lifecycle().events[-1]


def roots(apart):
    return apart.keys[GRID].roots()


def test_a_decision_is_kept_with_what_proves_it_at_every_node(world):
    world.serving[BANK][0].decide("v0009", "approve", "looked at it")
    sha256 = world.serving[GRID][0].register.sha256("v0009")
    for org in (BANK, OTHER, GRID):
        assert proof.proven(event_of(world, org), sha256, roots(world)) is True
    done = CliRunner().invoke(node_app, ["decisions", "--home", str(world.folder / GRID)])
    last = json.loads(done.stdout)[-1]
    assert (done.exit_code, last["by"], last["kind"], last["proven"]) == (0, BANK, "endorsed", True)
    assert base64.b64decode(last["signature"])


def test_nobody_decides_for_a_bank(world):
    """Neither a bank for another, nor who passes a decision on with another word in it, nor one who signs nothing."""
    register, mine = world.serving[GRID][0].register, world.keys[BANK]
    good = proof.signed(mine, BANK, told_of(world))
    before = len(world.serving[GRID][0].oversight.lifecycle().events)
    changed = [
        {"act": "reject"}, {"note": "another note"}, {"command": "d" * 16}, {"signature": good.signature[:-1] + b"x"},
        {"signature": b""}, {"certificate": b""},
    ]  # fmt: skip
    for each in changed:
        with pytest.raises((ChannelRefused, ValueError)):
            register.decide(good.model_copy(update=each), BANK)
    theirs = proof.signed(world.keys[OTHER], OTHER, told_of(world))
    with pytest.raises(ChannelRefused, match="a decision of bank-gusu is signed by bank-jinji"):
        register.decide(theirs, BANK)
    with pytest.raises(ChannelRefused, match="is not what bank-gusu signed"):
        register.decide(proof.signed(mine, OTHER, told_of(world)), BANK)
    operator = Member(world, "operator-two")
    with pytest.raises(ChannelRefused, match="is signed by operator-two"):
        register.decide(proof.signed(operator.keys, BANK, told_of(world)), BANK)
    # A node does not say either what another bank decided: it signs with its own key.
    with pytest.raises(ChannelRefused, match="is signed by grid-sip"):
        register.decide(proof.signed(world.keys[GRID], BANK, told_of(world)), BANK)
    assert len(world.serving[GRID][0].oversight.lifecycle().events) == before
    register.decide(good, BANK)


def test_a_key_that_is_not_known_any_more_decides_nothing(world):
    good = proof.signed(world.keys[BANK], BANK, told_of(world))
    world.keys[GRID].unpin(BANK)
    with pytest.raises(ChannelRefused, match="is not known here"):
        world.serving[GRID][0].register.decide(good, BANK)


def test_a_register_that_was_edited_proves_nothing(world):
    world.serving[BANK][0].decide("v0009", "approve", "looked at it")
    event, sha256 = event_of(world), world.serving[GRID][0].register.sha256("v0009")
    other = Member(world, "bank-other", "bank")
    forged = proof.signed(other.keys, BANK, told_of(world))
    texts = {
        "certificate": base64.b64encode(forged.certificate).decode(),
        "signature": base64.b64encode(forged.signature).decode(),
    }
    for changed in (
        replace(event, by=OTHER), replace(event, note="another"), replace(event, command="x" * 16),
        replace(event, details={**event.details, **texts}), replace(event, details={**event.details, "act": "reject"}),
        replace(event, details={**event.details, "signature": "?"}),
        # Its signature on one act, or on one version, proves no other.
        replace(event, kind=Kind.REJECTED), replace(event, kind=Kind.ROLLED_BACK), replace(event, kind=Kind.APPOINTED),
        replace(event, version="v0010", details={**event.details, "left": "v0009"}),
    ):  # fmt: skip
        assert proof.proven(changed, sha256, roots(world)) is False
    assert proof.proven(event, "0" * 64, roots(world)) is False
    assert proof.proven(event, sha256, []) is False, "another network's root proves nothing here"
    # One of before there were signatures says so, and is not called proven.
    bare = {name: value for name, value in event.details.items() if name not in texts}
    assert proof.proven(replace(event, details=bare), sha256, roots(world)) is None


def test_decisions_that_were_missed_come_signed_too(world):
    world.serving[BANK][0].decide("v0009", "approve", "")
    decisions = world.serving[OTHER][0].peers[BANK].ask("/decisions", Done(), Decisions)
    assert all(each.signature for each in decisions.decided)
    home = world.folder / "late"
    governance = Governance(home, ModelRegistry(home))
    late = Register(home, governance, lambda: NOW, OTHER, lambda: set(world.stores), world.keys[OTHER])
    manifest, weights = files(world)
    late.take(Version(manifest=manifest, weights=weights), "operator")
    bare = [each.model_copy(update={"signature": b""}) for each in decisions.decided]
    assert late.catch_up(Decisions(decided=bare), BANK) == 0
    assert late.catch_up(decisions, BANK) == 1


def files(world):
    return ModelRegistry(world.folder / GRID).files("credit", "v0009")


def test_a_proof_outlives_its_certificate(world):
    world.serving[BANK][0].decide("v0009", "approve", "")
    event, sha256 = event_of(world), world.serving[GRID][0].register.sha256("v0009")
    certificate = world.keys[BANK].certificate()
    later = datetime.now(UTC) + timedelta(days=400)
    assert certificate.not_valid_after_utc < later
    with pytest.raises(ChannelRefused, match="is over"):
        world.keys[GRID].known(base64.b64decode(event.details["certificate"]), later)
    assert proof.proven(event, sha256, roots(world)) is True
