"""A world in which every list that a registry, a verifier, a bank or a node keeps has rows, on either database."""

from datetime import UTC, datetime, timedelta

import pytest
from ready_worlds import with_full_lists

from financing.lending.unit import UnitOfWork


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def full_world(request, tmp_path_factory, ready_worlds):
    """A world in which every list that is walked here has rows, and the ids that stand in its paths."""
    with ready_worlds.copied(request.param, tmp_path_factory.mktemp("lists") / "home", with_full_lists) as made:
        yield made


def filled(w):
    loan, _, _ = w.loan()
    with w.parts.reading() as connection:
        subject = UnitOfWork(connection).organisations.get("dev-a").subject_id
    w.consent("bank-gusu", subject)
    for fen in (3_010, 3_020):
        w.now += timedelta(days=1)
        w.price(fen)
        w.post("dev-a", f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": 10_000})
    issued = [w.credits("dev-a", f"P{number}") for number in range(3)]
    issued.append(of_another_year(w))
    ids = {"loan_id": loan["loan_id"], "period_id": waiting(w), "package_id": packaged(w, issued)}
    use(w, issued)
    promise(w, issued[2])
    return ids


def of_another_year(w):
    first = datetime(2024, 3, 1, tzinfo=UTC)
    project = w.project("dev-a", "OLD")
    w.post("grid-sip", "/v1/meters/M-OLD/readings", w.readings_body(30, first=first))
    claim = w.accept(w.claim("dev-a", project, first=first, days=30))
    return w.post("registry-sip", "/v1/issuances", {"monitoring_period_id": claim["monitoring_period_id"]})


def waiting(w):
    """Periods that wait for a verifier, one of them assigned, with findings: its id."""
    project = w.project("dev-a", "WAIT")
    w.post("grid-sip", "/v1/meters/M-WAIT/readings", w.readings_body())
    days = (datetime(2025, 3, day, tzinfo=UTC) for day in (1, 6, 11))
    claims = [w.claim("dev-a", project, first=first, days=5)["monitoring_period_id"] for first in days]
    path = f"/v1/monitoring-periods/{claims[1]}"
    w.post("registry-sip", f"{path}/assignment", {"verifier_id": "verifier-cqc", "due_on": "2026-12-01"})
    for text in ("one", "two", "three"):
        w.post("verifier-cqc", f"{path}/findings", {"severity": "clarification", "text": text})
    return claims[1]


def packaged(w, issued):
    codes = [{"code": code, "name": code, "redemption": "oldest_first"} for code in ("ANY", "OTHER")]
    package, _ = (w.post("registry-sip", "/v1/packages", body)["package_id"] for body in codes)
    for each in issued:
        body = {"issuance_id": each["issuance_id"], "quantity_kg": 5_000}
        w.post("dev-a", f"/v1/packages/{package}/deposits", body)
    return package


def use(w, issued):
    """Cancel, freeze and send away, record claims elsewhere, and state neutrality."""
    span = {"starts_at": "2025-06-01T00:00:00Z", "ends_at": "2025-07-01T00:00:00Z"}
    footprint = [{"scope": 2, "source": "electricity", "emitted_kg": 9_000, "evidence": "bill"}]
    for number, each in enumerate(issued[:2]):
        some = {"issuance_id": each["issuance_id"], "quantity_kg": 1_000}
        w.post("dev-a", "/v1/cancellations", some | {"reason": "no use"})
        w.post("dev-a", "/v1/transfers", some | {"to_region": "hailing"})
        w.post("dev-a", "/v1/neutrality-claims", {"subject": "a", "boundary": "b", "footprint": footprint} | span)
        other = {"scheme": "CCER", "subject_kind": "meter", "subject_id": f"M-{number}", "reference": "r"}
        w.post("registry-sip", "/v1/external-claims", other | span)
        green = {"certificate_number": f"GEC-{number}", "meter_id": "M-P2", "energy_wh": 1_000}
        w.post("grid-sip", "/v1/green-certificates", green | span)
        scope = {"organisation_id": "verifier-bsi", "methodology": "PV", "source": "minutes"}
        w.post("registry-sip", "/v1/accreditations", scope | {"valid_from": f"2026-01-0{number + 1}"})
        w.post("registry-sip", "/v1/freezes", {"issuance_id": each["issuance_id"], "reason": "a look"})


def promise(w, issuance):
    """Retire credits and use some of that up, reserve credits of which one reservation lapses, and have a call made."""
    some = {"issuance_id": issuance["issuance_id"]}
    use = {"beneficiary": "dev-a", "purpose": "y"}
    for kilograms in (1_000, 3_000, 3_000):
        retired = w.post("dev-a", "/v1/retirements", some | use | {"quantity_kg": kilograms})
        if kilograms > 1_000:
            claim = w.get("dev-a", "/v1/neutrality-claims?limit=1")[0]["claim_id"]
            match = {"certificate_number": retired["certificate_number"], "quantity_kg": 1_000}
            w.post("dev-a", f"/v1/neutrality-claims/{claim}/matches", match)
    w.post("dev-a", f"/v1/neutrality-claims/{claim}/matches", match | {"quantity_kg": 2_000})
    w.post("dev-a", "/v1/pledges", some | {"bank_id": "bank-gusu", "quantity_kg": 1_000})
    w.now += timedelta(days=40)
    w.post("dev-a", "/v1/pledges", some | {"bank_id": "bank-gusu", "quantity_kg": 1_000})
    w.price(1_300, confirmed=True)
