"""The small language of a methodology's formulas: exact, dimension-checked, and nothing in it can act.

Python's own parser reads the text; everything but numbers, names, + - * /, comparisons, `a if x > y else b` and the
functions below is refused. Values are `Fraction` in base units, so that a result never depends on an order of rounding.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from financing.base.errors import MethodologyInvalid, QuantityOutOfRange
from financing.registry.methodology.units import NUMBER, Dimension

LENGTH_MAX = 400
DEPTH_MAX = 40
_SUMS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Fraction, Fraction], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
_FUNCTIONS: dict[str, Callable[..., Fraction]] = {"min": min, "max": max}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in base units. `dimension` is None for the literal zero, which is zero of anything."""

    value: Fraction
    dimension: Dimension | None


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed formula and the names it uses."""

    text: str
    tree: ast.expr
    names: frozenset[str]

    def evaluate(self, known: Mapping[str, Quantity], *, every_branch: bool = False) -> Quantity:
        """`every_branch` also judges the branch of a condition that is not taken.

        Raises `MethodologyInvalid` for an unknown name or a sum of unlike quantities, `QuantityOutOfRange` for a
        division by zero.
        """
        return _Evaluation(self.text, known, every_branch).of(self.tree)


def parse_expression(text: str) -> Expression:
    """Raises `MethodologyInvalid` for anything outside the language."""
    if len(text) > LENGTH_MAX:
        raise MethodologyInvalid("a formula is at most 400 characters; name its parts", expression=text[:40])
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise MethodologyInvalid(f"{text!r} is not a formula", expression=text) from error
    names: set[str] = set()
    _require_allowed(tree, text, names, 0)
    return Expression(text, tree, frozenset(names))


def _require_allowed(node: ast.AST, text: str, names: set[str], depth: int) -> None:
    children: list[ast.AST]
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            children = []
        case ast.Name(id=name):
            names.add(name)
            children = []
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            children = [left, right]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            children = [operand]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and len(args) >= 2:
            children = list(args)
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse) if (
            type(op) in _COMPARISONS
        ):
            children = [left, right, body, orelse]
        case _:
            raise MethodologyInvalid(f"{text!r}: {type(node).__name__} is not part of a formula", expression=text)
    if depth > DEPTH_MAX:
        raise MethodologyInvalid(f"{text!r} is nested too deeply", expression=text)
    for child in children:
        _require_allowed(child, text, names, depth + 1)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    text: str
    known: Mapping[str, Quantity]
    every_branch: bool

    def of(self, node: ast.AST) -> Quantity:
        match node:
            case ast.Constant():
                return self._literal(node)
            case ast.Name(id=name):
                if name not in self.known:
                    raise MethodologyInvalid(f"{self.text!r}: {name} is not known here", name=name)
                return self.known[name]
            case ast.UnaryOp(operand=operand):
                quantity = self.of(operand)
                return Quantity(-quantity.value, quantity.dimension)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(self.of(left), op, self.of(right))
            case ast.Call(func=ast.Name(id=name), args=args):
                arguments = [self.of(each) for each in args]
                return Quantity(_FUNCTIONS[name](*(each.value for each in arguments)), self._alike(*arguments))
            case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse):
                first, second = self.of(left), self.of(right)
                self._alike(first, second)
                # Only the branch that holds: the other may divide by the very zero that the comparison guards.
                holds = _COMPARISONS[type(op)](first.value, second.value)
                if self.every_branch:
                    self._alike(self.of(body), self.of(orelse))
                return self.of(body if holds else orelse)
        raise MethodologyInvalid(f"{self.text!r}: {type(node).__name__} is not part of a formula")

    def _literal(self, node: ast.Constant) -> Quantity:
        # The written digits, not the binary number that Python's parser made of them.
        written = ast.get_source_segment(self.text.strip(), node) or ""
        value = Fraction(written.replace("_", ""))
        return Quantity(value, None if value == 0 else NUMBER)

    def _binary(self, left: Quantity, op: ast.operator, right: Quantity) -> Quantity:
        if type(op) in _SUMS:
            return Quantity(_SUMS[type(op)](left.value, right.value), self._alike(left, right))
        first, second = left.dimension or NUMBER, right.dimension or NUMBER
        if isinstance(op, ast.Mult):
            return Quantity(left.value * right.value, first.times(second))
        if right.value == 0:
            raise QuantityOutOfRange("a formula divides by zero", expression=self.text)
        return Quantity(left.value / right.value, first.times(second, -1))

    def _alike(self, *quantities: Quantity) -> Dimension | None:
        dimensions = {each.dimension for each in quantities} - {None}
        if len(dimensions) > 1:
            unlike = " and ".join(sorted(str(each) for each in dimensions))
            raise MethodologyInvalid(f"{self.text!r} combines {unlike}", expression=self.text)
        return next(iter(dimensions), None)
