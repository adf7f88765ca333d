import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from financing.base.errors import CorruptData, ReadingRejected
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Energy, Period
from financing.registry.metering.plausibility import Site, check_readings
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.research_files import import_half_hourly_kw
from financing.registry.metering.solar import solar_elevation_deg
from financing.registry.metering.totals import total_of

LIMITS = load_parameters().plausibility("pv", date(2026, 11, 22))
METHODOLOGY = load_parameters().methodology("PV", 1).monitoring
SUZHOU = Site(100_000, LIMITS.latitude_deg, LIMITS.longitude_deg)
START = datetime(2026, 5, 1, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=4))
ENERGY_FOLDER = Path(__file__).parents[4] / "shared" / "data" / "energy"


def plausible() -> tuple[np.ndarray, np.ndarray]:
    times = np.datetime64("2026-05-01T00:00:00", "s") + np.arange(192) * np.timedelta64(1800, "s")
    height = np.sin(np.radians(np.maximum(solar_elevation_deg(times, 31.3, 120.6), 0)))
    return times, (height * 0.6 * 50_000).astype(np.int64)


def found(times: np.ndarray, generation: np.ndarray) -> dict[str, tuple[str, int]]:
    batch = ReadingBatch("M1", 30, times, generation)
    return {
        finding.code: (finding.severity, finding.count)
        for finding in check_readings(batch, PERIOD, SUZHOU, LIMITS, METHODOLOGY)
    }


def test_solar_elevation_at_the_equinox_and_solstice():
    noon = np.array(["2026-03-20T12:07:30"], dtype="datetime64[s]")
    assert solar_elevation_deg(noon, 0.0, 0.0)[0] == pytest.approx(90, abs=0.6)
    summer = np.array(["2026-06-21T04:00:00"], dtype="datetime64[s]")
    assert solar_elevation_deg(summer, 31.3, 120.6)[0] == pytest.approx(90 - 31.3 + 23.44, abs=0.6)
    assert solar_elevation_deg(summer + np.timedelta64(12, "h"), 31.3, 120.6)[0] < -20


def test_a_plausible_plant_has_no_findings():
    assert found(*plausible()) == {}


def test_each_check_finds_its_fault():
    times, generation = plausible()
    night = generation.copy()
    night[32] = 5_000
    assert found(times, night) == {"night_generation": ("error", 1)}
    spike = np.zeros_like(generation)
    spike[10] = 45_000
    assert found(times, spike) == {"spike": ("warning", 1)}
    high = generation.copy()
    high[8:10] = 54_000
    assert found(times, high) == {"above_nameplate": ("warning", 2)}
    assert found(times, (generation * 1.8).astype(np.int64))["capacity_factor"][0] == "error"


def test_missing_intervals_warn_and_then_fail():
    times, generation = plausible()
    assert found(np.delete(times, [50]), np.delete(generation, [50])) == {"incomplete": ("warning", 1)}
    assert found(times[20:], generation[20:])["incomplete"] == ("error", 20)


def test_errors_come_first_and_say_when():
    times, generation = plausible()
    generation[32] = 5_000
    keep = np.arange(192) != 50
    findings = check_readings(
        ReadingBatch("M1", 30, times[keep], generation[keep]), PERIOD, SUZHOU, LIMITS, METHODOLOGY
    )
    assert [finding.code for finding in findings] == ["night_generation", "incomplete"]
    assert findings[0].first_at == START + timedelta(hours=16)


def test_an_interval_that_the_methodology_does_not_allow_is_refused():
    odd = ReadingBatch("M1", 20, np.array(["2026-05-01"], dtype="datetime64[s]"), np.array([1]))
    with pytest.raises(ReadingRejected, match="interval"):
        check_readings(odd, PERIOD, SUZHOU, LIMITS, METHODOLOGY)


def test_the_importer_clips_and_counts_negatives_and_moves_the_clock(tmp_path: Path):
    path = tmp_path / "pv.csv.gz"
    text = "timestamp,P,use\n2009-03-01T00:00,-0.004,1\n2009-03-01T00:30,2.0,0.5\n2009-03-01T01:30,1,1\n"
    path.write_bytes(gzip.compress(text.encode()))
    imported = import_half_hourly_kw(path, "M1", "P", START, consumption_column="use", scale=10)
    assert imported.clipped == 1
    assert list(imported.batch.generation_wh) == [0, 10_000, 5_000]
    assert list(imported.batch.export_wh) == [0, 7_500, 0]
    assert imported.batch.starts[2] == np.datetime64("2026-05-01T01:30:00")


def test_the_importer_refuses_what_it_cannot_read(tmp_path: Path):
    path = tmp_path / "pv.csv"
    for text in ("timestamp,P\n2009-03-01T00:00,x\n", "timestamp,Q\n2009-03-01T00:00,1\n", "when,P\n1,1\n", ""):
        path.write_text(text)
        with pytest.raises(CorruptData):
            import_half_hourly_kw(path, "M1", "P", START)
    with pytest.raises(CorruptData):
        import_half_hourly_kw(tmp_path / "absent.csv", "M1", "P", START)
    path.write_text("timestamp,P\n2009-03-01T00:00,nan\n")
    with pytest.raises(ReadingRejected):
        import_half_hourly_kw(path, "M1", "P", START)


@pytest.mark.skipif(not ENERGY_FOLDER.is_dir(), reason="the research files are not part of the repository")
def test_a_research_plant_in_its_own_place_is_plausible():
    first = datetime(2026, 3, 1, tzinfo=UTC)
    path = ENERGY_FOLDER / "pv_simulated_42_households_halfhourly.csv.gz"
    imported = import_half_hourly_kw(path, "M1", "PV001", first)
    batch = imported.batch
    assert (len(batch), imported.clipped > 0) == (4_416, True)
    period = Period(first, first + timedelta(days=92))
    capacity_w = int(batch.generation_wh.max()) * 2
    findings = check_readings(batch, period, Site(capacity_w, 55.9, -4.2), LIMITS, METHODOLOGY)
    assert [finding.code for finding in findings if finding.severity == "error"] == []
    assert total_of(batch, period).generation > Energy(0)
