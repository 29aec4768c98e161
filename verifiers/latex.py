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

from tracemill.verifiers.formula import DIGITS, Number, arithmetic
from tracemill.verifiers.structure import Unreadable
from tracemill.verifiers.verdicts import Undecidable

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

    def value(self, at: Mapping[str, Fraction]) -> Number:
        """The value (exact, or mpmath complex) with the variables replaced; i is the imaginary unit."""
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
        try:
            result = exact.evalf(DIGITS, strict=True, maxn=2 * DIGITS)
        except sympy.core.evalf.PrecisionExhausted:  # sqrt(2)^2 - 2: zero in disguise
            result = sympy.simplify(exact)
            if not result.is_Rational:
                raise Undecidable("precision") from None
            return Fraction(int(result.p), int(result.q))
        real, imaginary = result.as_real_imag()
        if not (real.is_Number and imaginary.is_Number and result.is_finite):
            raise Undecidable("not_a_number")
        context = arithmetic()
        return context.mpc(*(context.mpf(part._to_mpmath(4 * DIGITS)) for part in (real, imaginary)))


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
