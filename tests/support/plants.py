"""A photovoltaic plant of the tests: what is registered of it, and what its meter read."""

from datetime import UTC, datetime, timedelta

import numpy as np

from financing.registry.metering.readings import ReadingBatch

FIRST = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Shares of the nameplate power by hour in Suzhou: a smooth day between 23:00 and 09:00 UTC, nothing at night.
DAY = (0, 0.05, 0.15, 0.3, 0.45, 0.5, 0.45, 0.3, 0.15, 0.05) + (0,) * 14


def project_body(code, *, capacity_w=5_000_000):
    """What is registered of a plant whose meter, `M-<code>`, is read by the hour."""
    return {
        "code": code,
        "name": f"roof {code}",
        "capacity_w": capacity_w,
        "grid_connected_on": "2022-06-01",
        "crediting_from": "2023-01-01T00:00:00Z",
        "crediting_until": "2033-01-01T00:00:00Z",
        "region": "SIP",
        "latitude_deg": 31.3,
        "longitude_deg": 120.6,
        "meters": [{"meter_id": f"M-{code}", "measured_by": "grid-sip", "interval_minutes": 60}],
        "owns_the_reduction": True,
        "not_registered_elsewhere": True,
        "outside_ets_boundary": True,
    }


def _hours(days, first, capacity_w):
    """Each hour's start and Wh."""
    for hour in range(days * 24):
        starts_at = first + hour * HOUR
        yield starts_at, int(capacity_w * DAY[(starts_at.hour + 1) % 24])


def readings_body(days=60, *, first=FIRST, capacity_w=5_000_000):
    """Hourly readings as they are posted."""
    readings = [
        {"starts_at": starts_at.isoformat(), "generation_wh": generation}
        for starts_at, generation in _hours(days, first, capacity_w)
    ]
    return {"interval_minutes": 60, "readings": readings}


def readings(meter_id, days=60, *, first=FIRST, capacity_w=5_000_000):
    """The same readings as the columns that the command takes."""
    starts, generation = zip(*_hours(days, first, capacity_w), strict=True)
    seconds = [int(each.timestamp()) for each in starts]
    return ReadingBatch(meter_id, 60, np.array(seconds, "datetime64[s]"), np.array(generation, np.int64), None, None)
