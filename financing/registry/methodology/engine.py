"""From metered and declared quantities to a reduction: one engine for every methodology file.

What is booked is rounded down to the kilogram once, at the end; the buffer is rounded up, so that it is never
below its share of what is issued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from financing.base.errors import MethodologyInvalid, NotFound, QuantityOutOfRange, ReadingRejected
from financing.base.parameters.methodologies import PERIOD_YEARS, DeclaredInput, MeteredInput
from financing.base.quantities import BPS_PER_UNIT, CHINA_TIME, Carbon, Energy, Period, ceil_div, floor_div
from financing.registry.methodology.definition import YEARS, Choices, Methodology
from financing.registry.methodology.expressions import Quantity, parse_expression
from financing.registry.methodology.reduction import InputValue, ParameterValue, Reduction, Rules, Step
from financing.registry.methodology.units import CARBON, Unit, parse_unit

EVIDENCE_MAX = 400


@dataclass(frozen=True, slots=True)
class Metered:
    """Sums over all meters of one role; `export` is None when one of them has no export register."""

    energy: Energy
    export: Energy | None


@dataclass(frozen=True, slots=True)
class Declared:
    """What an owner states for the period, in the unit of the methodology file, and what it rests on."""

    value: Fraction
    evidence: str = ""


def calculate(
    methodology: Methodology,
    *,
    choices: Choices,
    metered: Mapping[str, Metered],
    declared: Mapping[str, Declared],
    parameters: tuple[ParameterValue, ...],
    parameter_hashes: tuple[tuple[str, str], ...],
    period: Period,
) -> Reduction:
    """The reduction of `period`.

    Raises `ReadingRejected` when an export register is needed and missing, `NotFound` for an input that is not
    declared or not known, `QuantityOutOfRange` for one outside its limits, `PeriodInvalid` for two calendar years.
    """
    variant = methodology.variant(choices)
    inputs = _inputs(methodology, variant, metered, declared)
    steps = methodology.steps(variant)
    known = _quantities(inputs, parameters, period)
    worked: list[Step] = []
    for step in steps:
        unit = methodology.units[step.name]
        quantity = methodology.expressions[step.expression].evaluate(known)
        known[step.name] = Quantity(quantity.value, unit.dimension)
        worked.append(Step(step.name, step.expression, str(quantity.value / unit.scale), step.unit, step.zh, step.en))
    for limit in methodology.file.limits:
        if limit.of in known and known[limit.of].value > known[limit.at_most].value:
            raise QuantityOutOfRange(limit.en, zh=limit.zh, of=limit.of, at_most=limit.at_most)
    rules = _rules(methodology, known)
    total, buffer = _kilograms(known[methodology.file.result].value, rules)
    return Reduction(
        methodology=methodology.file.code,
        version=methodology.file.version,
        variant=tuple(sorted(variant.items())),
        period=period,
        vintage=period.vintage(),
        generation=sum((each.energy for each in metered.values()), Energy(0)),
        export=_all_exports(metered),
        inputs=inputs,
        parameters=parameters,
        steps=tuple(worked),
        result=methodology.file.result,
        rules=rules,
        reduction=total,
        buffer=buffer,
        parameter_hashes=parameter_hashes,
    )


def rederived(reduction: Reduction) -> tuple[Carbon, Carbon]:
    """(kilograms, buffer) that the workings alone give, whatever files say today.

    Raises `MethodologyInvalid` when a step no longer gives what it is recorded with.
    """
    known = _quantities(reduction.inputs, reduction.parameters, reduction.period)
    for step in reduction.steps:
        unit = parse_unit(step.unit)
        quantity = parse_expression(step.expression).evaluate(known)
        if quantity.value / unit.scale != Fraction(step.value):
            raise MethodologyInvalid(f"{step.name} is not what its formula gives", step=step.name, stated=step.value)
        known[step.name] = Quantity(quantity.value, unit.dimension)
    if reduction.result not in known or known[reduction.result].dimension != CARBON:
        raise MethodologyInvalid("the result is not a step of the workings", result=reduction.result)
    return _kilograms(known[reduction.result].value, reduction.rules)


def period_years(period: Period) -> Fraction:
    """The period as a share of its calendar year in China: a whole year is exactly one, leap year or not."""
    year = period.vintage()
    first = period.start.astimezone(CHINA_TIME).replace(
        year=year, month=1, day=1, hour=0, minute=0, second=0, microsecond=0
    )
    whole = first.replace(year=year + 1) - first
    return Fraction((period.end - period.start) // timedelta(seconds=1), whole // timedelta(seconds=1))


def _inputs(
    methodology: Methodology, variant: Choices, metered: Mapping[str, Metered], declared: Mapping[str, Declared]
) -> tuple[InputValue, ...]:
    needed = {name for step in methodology.steps(variant) for name in methodology.expressions[step.expression].names}
    if methodology.file.uncertainty is not None:
        needed.add(methodology.file.uncertainty.half_width)
    needed |= {name for limit in methodology.file.limits for name in (limit.of, limit.at_most)}
    unknown = sorted(set(declared) - {n for n, each in methodology.file.inputs.items() if each.kind == "declared"})
    if unknown:
        raise NotFound("the methodology declares no such input", methodology=methodology.tag, inputs=unknown)
    inputs = []
    for name, each in methodology.file.inputs.items():
        if name not in needed:
            continue
        if isinstance(each, MeteredInput):
            energy = _metered(metered, each)
            value, evidence = Fraction(energy.wh) / methodology.units[name].scale, ""
        else:
            value, evidence = _declared(name, each, declared.get(name))
        inputs.append(InputValue(name, each.kind, str(value), each.unit, each.zh, each.en, evidence))
    return tuple(inputs)


def _metered(metered: Mapping[str, Metered], wanted: MeteredInput) -> Energy:
    if wanted.role not in metered:
        raise NotFound("no meter has this part in the project", role=wanted.role)
    measured = metered[wanted.role]
    measured.energy.require_non_negative()
    if wanted.channel == "energy":
        return measured.energy
    if measured.export is None:
        raise ReadingRejected("this claim mode needs an export register", role=wanted.role)
    if not Energy(0) <= measured.export <= measured.energy:
        raise QuantityOutOfRange("export lies between zero and generation", export_wh=measured.export.wh)
    return measured.export


def _declared(name: str, wanted: DeclaredInput, stated: Declared | None) -> tuple[Fraction, str]:
    if stated is None:
        if wanted.default is None:
            raise NotFound("the owner declares this input", input=name, unit=wanted.unit)
        return Fraction(wanted.default), ""
    if stated.value < 0 or (wanted.at_most is not None and stated.value > Fraction(wanted.at_most)):
        raise QuantityOutOfRange(
            f"{name} lies between zero and {wanted.at_most or 'any'} {wanted.unit}", input=name, value=str(stated.value)
        )
    evidence = stated.evidence.strip()
    if wanted.evidence and not 1 <= len(evidence) <= EVIDENCE_MAX:
        raise NotFound("a declared input names its evidence", input=name)
    return stated.value, evidence


def _quantities(
    inputs: tuple[InputValue, ...], parameters: tuple[ParameterValue, ...], period: Period
) -> dict[str, Quantity]:
    known = {PERIOD_YEARS: Quantity(period_years(period), YEARS.dimension)}
    entered: tuple[InputValue | ParameterValue, ...] = (*inputs, *parameters)
    for each in entered:
        unit: Unit = parse_unit(each.unit)
        known[each.name] = Quantity(Fraction(each.value) * unit.scale, unit.dimension)
    return known


def _rules(methodology: Methodology, known: Mapping[str, Quantity]) -> Rules:
    file = methodology.file
    deducted = Fraction(0)
    if file.uncertainty is not None:
        half_width = known[file.uncertainty.half_width].value
        deducted = half_width if half_width > Fraction(file.uncertainty.threshold) else Fraction(0)
    return Rules(str(deducted), file.buffer.rate_bps if file.buffer is not None else 0)


def _kilograms(result_kg: Fraction, rules: Rules) -> tuple[Carbon, Carbon]:
    deducted = Fraction(rules.deducted)
    if not 0 <= deducted <= 1 or not 0 <= rules.buffer_bps <= BPS_PER_UNIT:
        raise MethodologyInvalid("deduction and buffer are shares", deducted=rules.deducted)
    # Emissions above the baseline make no reduction; they are never booked as a negative one.
    net = max(result_kg, Fraction(0)) * (1 - deducted)
    total = Carbon(floor_div(net))
    return total, Carbon(ceil_div(Fraction(total.kg * rules.buffer_bps, BPS_PER_UNIT)))


def _all_exports(metered: Mapping[str, Metered]) -> Energy | None:
    total = Energy(0)
    for each in metered.values():
        if each.export is None:
            return None
        total += each.export
    return total if metered else None
