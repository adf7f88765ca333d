"""Reductions calculated from a methodology file, as a claim would: for tests of rules that need one."""

from datetime import UTC, date, datetime
from fractions import Fraction

from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Energy, Period
from financing.registry.methodology.definition import compiled
from financing.registry.methodology.engine import Declared, Metered, calculate
from financing.registry.methodology.resolving import Tables, resolve

PARAMETERS = load_parameters()
ON = date(2026, 11, 22)
CHINA_YEAR = Period(datetime(2024, 12, 31, 16, tzinfo=UTC), datetime(2025, 12, 31, 16, tzinfo=UTC))


def reduction(
    code,
    version=1,
    *,
    period=CHINA_YEAR,
    choices=None,
    metered=None,
    declared=None,
    instead=None,
    parameters=PARAMETERS,
    on=ON,
):
    """`metered`: role to Wh or (Wh, export Wh); `declared`: input to decimal text, each with some evidence."""
    methodology = compiled(parameters.methodology(code, version))
    resolved = resolve(methodology, Tables.of(parameters), choices or {}, on, instead)
    sums = {role: value if isinstance(value, tuple) else (value, None) for role, value in (metered or {}).items()}
    return calculate(
        methodology,
        choices=choices or {},
        metered={
            role: Metered(Energy(wh), None if export is None else Energy(export)) for role, (wh, export) in sums.items()
        },
        declared={name: Declared(Fraction(value), "survey") for name, value in (declared or {}).items()},
        parameters=resolved.values,
        parameter_hashes=resolved.hashes,
        period=period,
    )


def pv(generation_wh, export_wh=None, *, green_wh=0, **more):
    declared = {"green_power_sold": Fraction(green_wh, 1000)}
    return reduction("PV", metered={"pv": (generation_wh, export_wh)}, declared=declared, **more)
