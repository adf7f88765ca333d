"""A methodology ready to calculate: its formulas parsed and checked, before any project can be pinned to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from financing.base.errors import MethodologyInvalid, NotFound, QuantityOutOfRange
from financing.base.parameters.methodologies import PERIOD_YEARS, MethodologyFile, Parameter, StepLine, Value
from financing.registry.methodology.expressions import Expression, Quantity, parse_expression
from financing.registry.methodology.units import CARBON, NUMBER, Unit, parse_unit

VARIANTS_MAX = 256
KEPT_MAX = 64
YEARS = parse_unit("yr")
Choices = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Methodology:
    """The file with its parsed formulas and units."""

    file: MethodologyFile
    expressions: Mapping[str, Expression]
    units: Mapping[str, Unit]

    @property
    def tag(self) -> str:
        return self.file.tag

    def variant(self, chosen: Choices) -> dict[str, str]:
        """Every choice with its option, the first one where nothing was chosen. Raises `NotFound`."""
        options = {name: chosen.get(name, choice.options[0]) for name, choice in self.file.choices.items()}
        unknown = sorted(set(chosen) - set(options))
        wrong = sorted(name for name, option in options.items() if option not in self.file.choices[name].options)
        if unknown or wrong:
            raise NotFound("the methodology has no such choice", methodology=self.tag, choices=[*unknown, *wrong])
        return options

    def steps(self, variant: Choices) -> list[StepLine]:
        return [step for step in self.file.steps if all(variant.get(key) == value for key, value in step.when.items())]

    def values(self, variant: Choices) -> dict[str, tuple[Parameter, Value]]:
        """The origin of every parameter in this variant."""
        origins: dict[str, tuple[Parameter, Value]] = {}
        for name, parameter in self.file.parameters.items():
            if parameter.choice is not None:
                origins[name] = (parameter, parameter.options[variant[parameter.choice]])
            elif parameter.one is not None:
                origins[name] = (parameter, parameter.one)
        return origins

    def variants(self) -> Iterator[dict[str, str]]:
        names = list(self.file.choices)
        for options in product(*(self.file.choices[name].options for name in names)):
            yield dict(zip(names, options, strict=True))


_compiled: dict[str, Methodology] = {}  # by the hash of the file


def compiled(file: MethodologyFile) -> Methodology:
    """Parse and check one file: names, units and dimensions of every variant. Raises `MethodologyInvalid`.

    Done once a file: every claim and issuance asks for it, and nothing in it changes.
    """
    known = _compiled.get(file.version_hash)
    if known is None or known.file != file:
        if len(_compiled) >= KEPT_MAX:
            _compiled.clear()
        known = _compiled[file.version_hash] = _compile(file)
    return known


def _compile(file: MethodologyFile) -> Methodology:
    units = {name: parse_unit(each.unit) for name, each in (*file.inputs.items(), *file.parameters.items())}
    expressions = {step.expression: parse_expression(step.expression) for step in file.steps}
    units |= {step.name: parse_unit(step.unit) for step in file.steps}
    methodology = Methodology(file, expressions, units)
    _require_declared(methodology)
    for count, variant in enumerate(methodology.variants()):
        if count >= VARIANTS_MAX:
            raise MethodologyInvalid("a methodology has at most 256 variants", methodology=file.tag)
        _require_dimensions(methodology, variant)
    return methodology


def _require_declared(methodology: Methodology) -> None:
    file = methodology.file
    names = [*file.inputs, *file.parameters, PERIOD_YEARS]
    steps = {step.name for step in file.steps}
    twice = sorted({name for name in names if names.count(name) > 1} | (steps & set(names)))
    if twice:
        raise MethodologyInvalid(f"{file.file}: named twice: {twice}", file=file.file)
    for parameter in file.parameters.values():
        if parameter.choice is None:
            continue
        choice = file.choices.get(parameter.choice)
        if choice is None or set(choice.options) != set(parameter.options):
            raise MethodologyInvalid(f"{file.file}: a parameter by choice has a value for each option", file=file.file)
    for step in file.steps:
        for key, option in step.when.items():
            if key not in file.choices or option not in file.choices[key].options:
                raise MethodologyInvalid(f"{file.file}: {step.name}: no choice {key} = {option}", file=file.file)
    if file.uncertainty is not None:
        half_width = file.inputs.get(file.uncertainty.half_width)
        if (
            half_width is None
            or half_width.kind != "declared"
            or methodology.units[file.uncertainty.half_width].dimension != NUMBER
        ):
            raise MethodologyInvalid(f"{file.file}: the half-width is a declared plain number", file=file.file)


def _require_dimensions(methodology: Methodology, variant: Choices) -> None:
    """Walk the steps with unlike stand-in values, so that only names, units and their algebra are judged."""
    file = methodology.file
    known = {PERIOD_YEARS: Quantity(Fraction(1, 3), YEARS.dimension)}
    for place, name in enumerate([*file.inputs, *file.parameters]):
        known[name] = Quantity(Fraction(1009 + 97 * place), methodology.units[name].dimension)
    for step in methodology.steps(variant):
        if step.name in known:
            raise MethodologyInvalid(f"{file.file}: {step.name} has two formulas in {dict(variant)}", file=file.file)
        try:
            quantity = methodology.expressions[step.expression].evaluate(known, every_branch=True)
        except QuantityOutOfRange as error:
            raise MethodologyInvalid(f"{file.file}: {step.name}: {error.detail}", file=file.file) from error
        except MethodologyInvalid as error:
            raise MethodologyInvalid(f"{file.file}: {step.name}: {error.detail}", file=file.file) from error
        unit = parse_unit(step.unit)
        if quantity.dimension is not None and quantity.dimension != unit.dimension:
            raise MethodologyInvalid(
                f"{file.file}: {step.name} is {quantity.dimension}, not {step.unit}", file=file.file, step=step.name
            )
        # A value of its own, so that a later difference of equal steps does not look like a division by zero.
        known[step.name] = Quantity(Fraction(7919 + 101 * len(known)), unit.dimension)
    for limit in file.limits:
        if limit.of not in known or limit.at_most not in known:
            raise MethodologyInvalid(f"{file.file}: a limit names what is not there", file=file.file)
        if known[limit.of].dimension != known[limit.at_most].dimension:
            raise MethodologyInvalid(f"{file.file}: a limit compares unlike quantities", file=file.file)
    if file.result not in known or known[file.result].dimension != CARBON:
        raise MethodologyInvalid(f"{file.file}: the result is a step in CO2 equivalent", file=file.file)
