"""CloudWatch's metric math, as far as the templates use it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache

from twin.assumptions import Assumptions
from twin.refusal import Refused

Point = float | None
Points = list[Point]
"""A value for each minute, the newest last, None where there is none."""
_Value = float | Points
_Term = Callable[[Mapping[str, Points], Assumptions], _Value]

_ARITHMETIC: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def compute(expression: str, metrics: Mapping[str, Points], assumptions: Assumptions) -> Points:
    """Return the expression's points over those of the metrics; raises Refused for what is not known here."""
    found = parsed(expression)(metrics, assumptions)
    if not isinstance(found, list):
        raise Refused(f"metric math {expression!r}: a number alone is no metric")
    return found


@cache
def parsed(expression: str) -> _Term:
    """Return what computes the expression; raises Refused for a function or an operator that is not known here."""
    try:
        return _term(ast.parse(expression.strip(), mode="eval").body)
    except SyntaxError as error:
        raise Refused(f"metric math {expression!r}: {error.msg}") from None


def names_in(expression: str) -> set[str]:
    """Return the metrics that the expression names; raises Refused like `parsed`."""
    parsed(expression)
    nodes = list(ast.walk(ast.parse(expression.strip(), mode="eval")))
    functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in functions}


def _term(node: ast.AST) -> _Term:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return lambda _metrics, _assumptions: float(number)
        case ast.Name(id=name):
            return lambda metrics, _: metrics[name]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
            return _binary(_ARITHMETIC[type(sign)], _term(left), _term(right))
        case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _ARITHMETIC:
            return _binary(_ARITHMETIC[type(sign)], _term(left), _term(right))
        case ast.Call(func=ast.Name(id="FILL"), args=[series, ast.Constant(value=int() | float() as number)]):
            return _fill(_term(series), float(number))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, true, false]):
            return _choice(_term(condition), _term(true), _term(false))
    raise Refused(f"metric math: {ast.unparse(node)} is nothing that the twin knows")


def _binary(operation: Callable[[float, float], float], left: _Term, right: _Term) -> _Term:
    """A missing operand counts as 0 where the other has a point; x / 0 gives no point (using-metric-math)."""

    def apply(one: Point, other: Point, missing: Point) -> Point:
        one, other = missing if one is None else one, missing if other is None else other
        if one is None or other is None or (operation is operator.truediv and other == 0):
            return None
        return float(operation(one, other))

    def compute(metrics: Mapping[str, Points], assumptions: Assumptions) -> _Value:
        one, other = left(metrics, assumptions), right(metrics, assumptions)
        if isinstance(one, list) and isinstance(other, list):
            missing = 0.0 if assumptions.missing_operand_is_zero else None
            return [
                None if a is None and b is None else apply(a, b, missing) for a, b in zip(one, other, strict=True)
            ]
        if isinstance(one, list):
            return [apply(a, other, None) for a in one]  # type: ignore[arg-type]  # not both are lists
        if isinstance(other, list):
            return [apply(one, b, None) for b in other]
        return apply(one, other, None) or 0.0

    return compute


def _fill(series: _Term, number: float) -> _Term:
    """FILL gives every minute without a point the number, the newest and merely late one, too (using-metric-math)."""

    def compute(metrics: Mapping[str, Points], assumptions: Assumptions) -> _Value:
        points = series(metrics, assumptions)
        if not isinstance(points, list) or (
            all(point is None for point in points) and not assumptions.fill_fills_empty
        ):
            return points
        return [number if point is None else point for point in points]

    return compute


def _choice(condition: _Term, true: _Term, false: _Term) -> _Term:
    """Choose by the minute: a condition without a point or a missing false branch gives none, a missing true one 0.

    The table of using-metric-math: m1=[1,1,0,0,-], m2=[30,-,0,0,30], m3=[0,0,20,-,20]:
    IF(m1,m2,m3)=[30,0,20,-,-].
    """

    def compute(metrics: Mapping[str, Points], assumptions: Assumptions) -> _Value:
        asked = condition(metrics, assumptions)
        if not isinstance(asked, list):
            raise Refused("metric math: the condition of an IF is a metric")
        yes, no = (_spread(term(metrics, assumptions), len(asked)) for term in (true, false))
        return [None if if_ is None else (a or 0.0) if if_ else b for if_, a, b in zip(asked, yes, no, strict=True)]

    return compute


def _spread(value: _Value, length: int) -> Points:
    return value if isinstance(value, list) else [value] * length
