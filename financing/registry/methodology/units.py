"""Units of a methodology's quantities: an exact scale to base units and integer exponents of those.

CO2 equivalent, carbon, methane and nitrous oxide are different dimensions, so that a warming potential cannot be left
out; a year is not a number of hours, because crediting counts calendar years.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from financing.base.errors import MethodologyInvalid

_BASE: dict[str, tuple[Fraction, tuple[tuple[str, int], ...]]] = {}
TERM = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9]*)(\^(?P<power>-?[1-9]))?")


def _declare(dimension: tuple[tuple[str, int], ...], **scales: Fraction | int) -> None:
    for name, scale in scales.items():
        _BASE[name] = (Fraction(scale), dimension)


_declare((("kgCO2e", 1),), kgCO2e=1, gCO2e=Fraction(1, 1000), mgCO2e=Fraction(1, 1_000_000), tCO2e=1000)
_declare((("kgC", 1),), kgC=1, gC=Fraction(1, 1000), tC=1000)
_declare((("kgCH4", 1),), kgCH4=1, gCH4=Fraction(1, 1000))
_declare((("kgN2O", 1),), kgN2O=1, gN2O=Fraction(1, 1000))
_declare((("Wh", 1),), Wh=1, kWh=1000, MWh=1_000_000)
_declare((("Wh", 1), ("h", -1)), W=1, kW=1000, MW=1_000_000)
_declare((("h", 1),), h=1)
_declare((("yr", 1),), yr=1)
_declare((("km", 1),), km=1)
_declare((("L", 1),), L=1)
_declare((("m2", 1),), m2=1, ha=10_000)
_declare((("lm", 1),), lm=1)
_declare((("kJ", 1),), kJ=1, MJ=1000, GJ=1_000_000)


@dataclass(frozen=True, slots=True)
class Dimension:
    """Exponents of base units, sorted by name; nothing is a plain number."""

    exponents: tuple[tuple[str, int], ...] = ()

    def times(self, other: Dimension, sign: int = 1) -> Dimension:
        powers = dict(self.exponents)
        for name, power in other.exponents:
            powers[name] = powers.get(name, 0) + sign * power
        return Dimension(tuple(sorted((name, power) for name, power in powers.items() if power)))

    def __str__(self) -> str:
        return "*".join(f"{name}^{power}" if power != 1 else name for name, power in self.exponents) or "1"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit by its text, e.g. `kgCO2e/kWh`; a value in it times `scale` is the value in base units."""

    text: str
    scale: Fraction
    dimension: Dimension


NUMBER = Dimension()
CARBON = Dimension((("kgCO2e", 1),))
ENERGY = Dimension((("Wh", 1),))


def parse_unit(text: str) -> Unit:
    """Read `a*b/c^2`; `1` is a plain number. Raises `MethodologyInvalid` for an unknown unit."""
    scale, dimension = Fraction(1), NUMBER
    for place, part in enumerate(re.split(r"([*/])", text.replace(" ", ""))):
        if place % 2:
            continue
        sign = -1 if place and re.split(r"([*/])", text.replace(" ", ""))[place - 1] == "/" else 1
        if part == "1":
            continue
        match = TERM.fullmatch(part)
        if match is None or match["name"] not in _BASE:
            raise MethodologyInvalid(f"{part!r} is not a unit of this registry", unit=text)
        factor, exponents = _BASE[match["name"]]
        power = sign * int(match["power"] or 1)
        scale *= factor**power
        dimension = dimension.times(Dimension(tuple((name, each * power) for name, each in exponents)))
    return Unit(text, scale, dimension)
