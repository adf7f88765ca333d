"""What everyone may see, as JSON, CSV and XLSX; and units of other registries coming in."""

import csv
import io
import json

import pytest

SUMS = (
    "holding_kg",
    "pledged_kg",
    "escrow_kg",
    "packaged_kg",
    "buffer_kg",
    "retired_kg",
    "cancelled_kg",
    "exported_kg",
)


@pytest.fixture
def registry(tmp_path, ready_worlds):
    with ready_worlds.copied("sqlite", tmp_path / "home", used) as (world, _):
        yield world


def used(w):
    w.admit("dev-a", "developer")
    for code in ("PV1", "PV2"):
        issuance = w.credits("dev-a", code)
    body = {"issuance_id": issuance["issuance_id"], "quantity_kg": 7_000}
    w.post("dev-a", "/v1/retirements", {**body, "beneficiary": "x", "purpose": "y"})
    w.post("dev-a", "/v1/cancellations", {**body, "reason": "no use"})
    w.post("dev-a", "/v1/transfers", {**body, "to_region": "hailing"})


def upload(w, who, content, table, key):
    headers = {"Authorization": f"Bearer {w.keys[who]}", "Idempotency-Key": key}
    return w.client.post(f"/v1/cad-trust/units?table={table}", content=content, headers=headers)


def test_statistics_reconcile_in_every_format(registry):
    w = registry
    (cell,) = w.client.get("/v1/statistics").json()
    assert (cell["methodology"], cell["region"], cell["vintage"]) == ("PV1", "SIP", 2025)
    assert cell["issued_kg"] == sum(cell[name] for name in SUMS) == 860_000
    assert (cell["retired_kg"], cell["cancelled_kg"], cell["escrow_kg"]) == (7_000, 7_000, 7_000)
    text = w.client.get("/v1/statistics?table=csv").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row == {name: str(value) for name, value in cell.items()}
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(w.client.get("/v1/statistics?table=xlsx").content))
    lines = list(book.active.values)
    assert dict(zip(*lines, strict=True)) == cell


def test_units_leave_in_the_shape_of_the_cad_trust(registry):
    w = registry
    units = w.client.get("/v1/cad-trust/units").json()
    assert sum(unit["unitCount"] for unit in units) == 860
    assert {unit["unitStatus"] for unit in units} == {"Held", "Retired", "Cancelled"}
    assert all(unit["unitStatusReason"] for unit in units if unit["unitStatus"] != "Held")
    first = min(units, key=lambda unit: unit["serialNumberBlock"])
    assert first["serialNumberBlock"].startswith("SIP-PHCER-PV1-PV1-2025-")
    assert first["vintageYear"] == 2025
    assert first["unitType"] == "Reduction - technical"


@pytest.mark.parametrize("table", ["json", "csv", "xlsx"])
def test_units_of_another_registry_are_guarded_against(registry, table):
    w = registry
    content = w.client.get(f"/v1/cad-trust/units?table={table}").content
    if table == "json":
        units = json.loads(content)
        for unit in units:
            unit["warehouseProjectId"] = "ELSE1"
        units[0]["issuance"] = {
            "warehouseProjectId": "ELSE2",
            "startDate": "2025-01-01T00:00:00Z",
            "endDate": "2025-12-31",
        }
        content = json.dumps(units).encode()
    refused = upload(w, "dev-a", content, table, "a")
    assert refused.json()["code"] == "not_permitted"
    done = upload(w, "registry-sip", content, table, "b")
    assert done.status_code == 201, done.text
    assert done.json()["recorded"] == done.json()["units"] > 3
    assert upload(w, "registry-sip", content, table, "c").json()["recorded"] == 0
    code = "ELSE2" if table == "json" else "PV1"
    if table == "json":
        w.assert_refused("dev-a", "/v1/projects", w.project_body(code), "double_claim")
    claims = w.get("dev-a", "/v1/external-claims")
    assert {claim["scheme"] for claim in claims} == {"PHCER"}
    assert code in {claim["subject_id"] for claim in claims}


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (b"{", "json"),
        (b"{}", "json"),
        (b"[]", "json"),
        (b'[{"unitOwner": "x"}]', "json"),
        (b"\xff\xfe", "csv"),
        (b"unitOwner\nx,y\n", "csv"),
        (b"not an archive", "xlsx"),
        (b"PK\x03\x04broken", "xlsx"),
    ],
)
def test_a_file_that_is_not_units_is_refused(registry, content, table):
    answer = upload(registry, "registry-sip", content, table, "k")
    assert (answer.status_code, answer.json()["code"]) == (422, "corrupt_data"), answer.text
    assert registry.get("dev-a", "/v1/external-claims") == []


def test_a_name_that_looks_like_a_formula_is_text(sqlite_world):
    from credit_api.http.spreadsheets import as_csv, as_xlsx, read_csv, read_xlsx

    rows = [["=HYPERLINK(1)", 5], ["plain", -5]]
    made = as_csv(("a", "b"), rows), as_xlsx("t", ("a", "b"), rows)
    assert b"'=HYPERLINK" in made[0]
    assert read_csv(made[0])[0]["a"] == read_xlsx(made[1])[0]["a"] == "=HYPERLINK(1)"
    assert read_xlsx(made[1])[1]["b"] == -5


def test_the_subsidy_calculator_says_how_it_knows(sqlite_world):
    url = "/v1/subsidy-estimate?capacity_w=100000&connected_on=2024-02-29"
    answer = sqlite_world.client.get(url).json()
    assert answer["mark"] == "R"
    assert [each["starts_on"] for each in answer["years"]] == ["2024-02-29", "2025-03-01", "2026-03-01"]
    # 100 kW x 1,000 h x 0.98, then 0.55 % less every year, at 0.10 CNY.
    assert [each["kwh_low"] for each in answer["years"]] == [98_000, 97_461, 96_924]
    assert answer["low_fen"] == sum(each["kwh_low"] for each in answer["years"]) * 10
    assert answer["low_fen"] < answer["high_fen"]
    for bad, code in (
        ("capacity_w=7000000&connected_on=2024-01-01", "not_eligible"),
        ("capacity_w=100&connected_on=2019-01-01", "parameter_missing"),
        ("capacity_w=0&connected_on=2024-01-01", "invalid_request"),
    ):
        assert sqlite_world.client.get(f"/v1/subsidy-estimate?{bad}").json()["code"] == code


@pytest.mark.parametrize("capacity", ["1e999990", "1E9", "nan", "-3", "9" * 60])
def test_the_public_page_refuses_what_is_no_capacity(sqlite_world, capacity):
    path = f"/public?programme=sip_pv&capacity={capacity}&connected_on=2026-11-01"
    answer = sqlite_world.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code in {409, 422}
    assert "invalid_request" in answer.text or "quantity_out_of_range" in answer.text
