"""A reduction with everything needed to derive it again: inputs, cited parameters, steps, rules, file hashes.

Values are exact: a decimal or a fraction in the unit beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from pydantic import ConfigDict

from financing.base.quantities import Carbon, Energy, Period, floor_div
from financing.registry.methodology.units import parse_unit

SHOWN_DIGITS = 6
# An answer has every field, those with a default too.
ANSWERED = ConfigDict(json_schema_serialization_defaults_required=True)


@dataclass(frozen=True, slots=True)
class InputValue:
    """A quantity that entered the formula. `evidence` names what a declared one rests on."""

    __pydantic_config__ = ANSWERED

    name: str
    kind: str
    value: str
    unit: str
    zh: str
    en: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedValue:
    """A value with its citation. `key` is the dated record it came from, empty for a constant of the file."""

    __pydantic_config__ = ANSWERED

    name: str
    value: str
    unit: str
    key: str = ""
    source: str
    mark: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterValue(CitedValue):
    """A parameter of a methodology, with what it is called."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Step:
    """One named line of the formula and what it gave."""

    name: str
    expression: str
    value: str
    unit: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What was done to the result: share deducted for uncertainty, share withheld in the buffer (bp)."""

    deducted: str = "0"
    buffer_bps: int = 0


@dataclass(frozen=True, slots=True)
class Reduction:
    """Workings of one monitoring period. `reduction` is all that is issued, `buffer` the part of it withheld.

    `generation` and `export` are the sums of what the project's meters metered, whatever they meter; None for export
    when a meter has no export register.
    """

    methodology: str
    version: int
    variant: tuple[tuple[str, str], ...]
    period: Period
    vintage: int
    generation: Energy
    export: Energy | None
    inputs: tuple[InputValue, ...]
    parameters: tuple[ParameterValue, ...]
    steps: tuple[Step, ...]
    result: str
    rules: Rules
    reduction: Carbon
    buffer: Carbon
    parameter_hashes: tuple[tuple[str, str], ...]

    @property
    def tag(self) -> str:
        return f"{self.methodology}{self.version}"

    @property
    def credited(self) -> Carbon:
        """What the owner gets."""
        return self.reduction - self.buffer

    def parameter(self, name: str) -> ParameterValue | None:
        return next((each for each in self.parameters if each.name == name), None)

    def step(self, name: str) -> Step | None:
        return next((each for each in self.steps if each.name == name), None)

    def energy_of(self, name: str) -> Energy:
        """An input that is an energy, rounded down to the Wh; nothing when the methodology does not ask for it."""
        given = next((each for each in self.inputs if each.name == name), None)
        if given is None:
            return Energy(0)
        return Energy(floor_div(Fraction(given.value) * parse_unit(given.unit).scale))

    def formula(self) -> str:
        """The calculation in figures, for a verifier to follow."""
        lines = "; ".join(f"{each.name} = {each.expression} = {shown(each.value)} {each.unit}" for each in self.steps)
        return f"{lines}; {self.reduction.kg} kg, rounded down"


def shown(value: str) -> str:
    """An exact value as a decimal: all digits where it ends, six after the point where it does not."""
    exact = Fraction(value)
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    number = Decimal(exact.numerator) / Decimal(exact.denominator)
    return f"{number.normalize():f}" if rest == 1 else f"{round(number, SHOWN_DIGITS):f}…"
