"""The strategy that a plan asks for: how many samples each of its prompts gets, and which comes next."""

from __future__ import annotations

from tracemill.core.errors import InputError
from tracemill.core.options import configured
from tracemill.factory.strategies.adaptive import Adaptive
from tracemill.factory.strategies.fixed import Fixed
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.factory.strategies.retry import Retry
from tracemill.factory.strategies.strategy import Strategy
from tracemill.pipelines.plan import Plan


def strategy_of(plan: Plan) -> Strategy:
    """The strategy, at its beginning. Raises InputError for options that cannot be."""
    generate = plan.recipe.generate
    options = adaptive_options(plan)
    if options is None:
        strategy: Strategy = Fixed(plan.limits(generate.samples))
        most = generate.samples
    else:
        most = max(generate.samples, options.max_samples or 2 * generate.samples)
        window = plan.recipe.select.pass_rate
        strategy = Adaptive(options, generate.samples, plan.tasks.domain_of, plan.limits(most), window)
    if not generate.retry:
        return strategy
    return Retry(strategy, len(plan.tasks), most, [variant.samples for variant in generate.retry])


def adaptive_options(plan: Plan) -> AdaptiveOptions | None:
    """The options of the adaptive strategy; None for another one. Raises InputError."""
    section = plan.recipe.generate.strategy
    if section.name == "fixed":
        if section.options:
            raise InputError(f"generate.strategy.fixed.{min(section.options)}: fixed has no options; see samples")
        return None
    if plan.recipe.verify.majority is not None:
        raise InputError(
            "generate.strategy: adaptive stops at correct samples, and without gold answers (verify.majority) none is "
            "known to be before all are made; use fixed"
        )
    return configured(AdaptiveOptions, section.options, "generate.strategy.adaptive", "adaptive")
