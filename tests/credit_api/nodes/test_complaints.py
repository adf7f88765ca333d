from credit_api.nodes import complaints
from credit_api.nodes.complaints import Complaints


def test_who_says_something_else_each_time_is_written_down_once_a_minute(monkeypatch):
    said, found, now = [], Complaints(), [0.0]
    monkeypatch.setattr(complaints.time, "monotonic", lambda: now[0])
    for second in range(180):
        now[0] = float(second)
        found.of("bank-gusu", f"code-{second}", f"word {second}", said.append)
        found.of("grid-sip", "same", f"word {second}", said.append)
    assert said == ["bank-gusu: word 0", "grid-sip: word 0", "bank-gusu: word 60", "bank-gusu: word 120"]
    found.ended("grid-sip")
    found.of("grid-sip", "same", "again", said.append)
    assert said[-1] == "grid-sip: again"
    # Who fails every second time is no more to be read of.
    said.clear()
    for second in range(180, 300):
        now[0] = float(second)
        found.of("grid-sip", "same", f"word {second}", said.append)
        found.ended("grid-sip")
    assert said == ["grid-sip: word 239", "grid-sip: word 299"]
