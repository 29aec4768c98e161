"""Formulas beyond `verifiers.formula`, read by math-verify's parser (latex2sympy2_extended) and worked out by sympy.

Runs in a worker process only: antlr and sympy may hang on any input. Only the parser of math-verify is used, not its
comparison, which accepts 1/2^99 = 1/2^98, 1e-7 = 2e-7 and any two equations that both reduce to 0 (its issues 14, 60).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tracemill.verifiers.formula import Number
from tracemill.verifiers.structure import Unreadable
from tracemill.verifiers.verdicts import Undecidable

MOST_BITS = 4_096
"""sympy takes seconds beyond."""
_DECIMAL = re.compile(r"(?<![\w}])(\d*)\.(\d+)")


@dataclass(frozen=True, slots=True)
class LatexFormula:
    """A sympy expression with exact numbers, in the shape of `formula.Formula`."""

    expression: Any

    @property
    def names(self) -> frozenset[str]:
        return frozenset(symbol.name for symbol in self.expression.free_symbols if symbol.name != "i")

    @property
    def is_name(self) -> bool:
        return bool(self.expression.is_Symbol)

    def value(self, at: Mapping[str, Fraction], bits: int) -> Number:
        """The value with the variables replaced; i is the imaginary unit. Raises Undecidable."""
        import sympy

        values = {
            symbol: sympy.I
            if symbol.name == "i"
            else sympy.Rational(at[symbol.name].numerator, at[symbol.name].denominator)
            for symbol in self.expression.free_symbols
        }
        exact = self.expression.subs(values).doit()
        if exact.is_Rational:
            return Fraction(int(exact.p), int(exact.q))
        if any(power.exp.is_Rational and power.exp.q > 2 and not power.base.is_nonnegative
               for power in exact.atoms(sympy.Pow)):  # fmt: skip
            raise Undecidable("branch")  # (-8)^{1/3}: -2, or 1 + 1.73i
        digits = min(bits, MOST_BITS) * 3 // 10
        try:
            result = exact.evalf(digits, strict=True, maxn=2 * digits)
        except sympy.core.evalf.PrecisionExhausted:  # sqrt(2)^2 - 2: zero in disguise
            result = sympy.simplify(exact)
            if not result.is_Rational:
                raise Undecidable("precision") from None
            return Fraction(int(result.p), int(result.q))
        real, imaginary = result.as_real_imag()
        if not (real.is_Number and imaginary.is_Number and result.is_finite):
            raise Undecidable("not_a_number")
        return around(str(real), digits) + around(str(imaginary), digits) * around("1", digits, imaginary=True)


def around(decimal: str, digits: int, imaginary: bool = False) -> Any:
    """A ball around a decimal number of so many right digits."""
    import flint

    middle = flint.arb(decimal)
    radius = abs(middle) * flint.arb(10) ** (5 - digits)
    middle += flint.arb(0, radius.upper()) if decimal not in ("0", "1") else 0
    return flint.acb(0, middle) if imaginary else flint.acb(middle)


@lru_cache(maxsize=1024)
def read_latex(text: str) -> LatexFormula:
    """Raises Unreadable, or Undecidable where the text is mathematics of another kind."""
    import sympy
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, latex2sympy, normalize_latex

    exact = _DECIMAL.sub(lambda m: rf"(\frac{{{int(m[1] + m[2])}}}{{{10 ** len(m[2])}}})", text)
    config = NormalizationConfig(basic_latex=True, malformed_operators=True, boxed="none")
    try:
        result = latex2sympy(normalize_latex(exact, config), is_real=True, normalization_config=None)
    except Exception as error:  # antlr and sympy raise whatever they like on text that is no formula
        raise Unreadable(text[:60]) from error
    if not isinstance(result, sympy.Expr) or result.atoms(sympy.Float):
        raise Undecidable("notation")
    return LatexFormula(result)
