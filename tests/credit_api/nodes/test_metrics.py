"""What a node's people watch: counts without a customer in them, and a word when something is wrong."""

import json

import pytest
from nodes_apart import BANK, GRID, NOW, Running
from prometheus_client.parser import text_string_to_metric_families

from federated.consent.record import Purpose
from federated.errors import ConsentMissing, NotPermitted
from federated.serving import ScoreQuery


@pytest.fixture
def bank(apart):
    apart.serve(*(org for org in apart.stores if org != BANK))
    found = Running(apart, BANK)
    yield found
    found.close()


def got(running, path):
    status, told = running.node.look(path)
    return status, told.decode()


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_scores_are_counted_by_what_came_of_them_and_name_nobody(apart, bank):
    subject = bank.desk.node.customers(1, "")[0]
    asked = {"subject": subject, "consent": f"CONS-{subject}", "purpose": "credit_application"}
    answer = bank.node.ask("/score", asked)
    for consent in ("CONS-NONE", "CONS-NONE"):
        with pytest.raises(ConsentMissing):
            bank.node.ask("/score", asked | {"consent": consent})
    status, text = got(bank, "/metrics")
    found = samples(text)
    assert status == 200
    assert found["tanxin_scores_total", ("outcome", f"{answer['basis']}, {answer['electricity']}")] == 1
    assert found["tanxin_scores_total", ("outcome", "consent_missing")] == 2
    assert found["tanxin_score_seconds_count",] == 3
    assert found["tanxin_customers",] == bank.desk.node.store.count()
    met = sum(peer.met for peer in bank.desk.peers.values())
    assert found["tanxin_peers", ("state", "met")] == met > 0
    assert subject not in text
    assert "CONS" not in text


def test_messages_of_others_are_counted_by_route_and_never_by_their_own_words(apart, bank):
    peer, grid = bank.desk.peers[GRID], apart.serving[GRID][0]
    subject = bank.desk.node.customers(1, "")[0]
    bank.network.score(ScoreQuery(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW))
    peer.meet()
    for path in ("/version", f"/{subject}"):
        assert peer._channel._pool.request("POST", path, body=b"{}", retries=False).status in (403, 404, 422)
    with pytest.raises(NotPermitted):
        peer._channel.post("/version", b"{}")
    text = grid.metrics.told(grid).decode()
    found = samples(text)
    assert found["tanxin_messages_total", ("route", "/version"), ("status", "403")] == 2
    assert found["tanxin_messages_total", ("route", "none"), ("status", "404")] == 1
    assert found["tanxin_messages_total", ("route", "/meet"), ("status", "200")] >= 1
    assert subject not in text


def test_a_node_says_what_is_wrong_with_it(bank, monkeypatch):
    assert got(bank, "/healthz")[0] == 200
    standing = bank.desk.keys.standing

    def over(at):
        return standing(standing(at).until)

    monkeypatch.setattr(bank.desk.keys, "standing", over)
    status, told = got(bank, "/healthz")
    assert (status, json.loads(told)["wrong"]) == (503, ["certificate_over"])
    monkeypatch.undo()
    monkeypatch.setattr("credit_api.nodes.metrics.LEAST_FREE", 1 << 60)
    status, told = got(bank, "/healthz")
    assert (status, json.loads(told)["wrong"]) == (503, ["disk_nearly_full"])
    monkeypatch.undo()
    bank.desk.node.store._db.close()
    status, told = got(bank, "/healthz")
    assert (status, json.loads(told)["wrong"]) == (503, ["store_unreadable"])
