"""The strategy that a plan asks for: how many samples each of its prompts gets, and which comes next."""

from __future__ import annotations

from tracemill.factory.strategies.adaptive import Adaptive, most_samples
from tracemill.factory.strategies.fixed import Fixed
from tracemill.factory.strategies.retry import Retry
from tracemill.factory.strategies.strategy import Strategy
from tracemill.pipelines.plan import Plan


def strategy_of(plan: Plan) -> Strategy:
    """The strategy, at its beginning. Raises InputError for options that cannot be."""
    generate = plan.recipe.generate
    options = generate.adaptive
    if options is None:
        strategy: Strategy = Fixed(plan.limits(generate.samples))
        most = generate.samples
    else:
        most = most_samples(options, generate.samples)
        window = plan.recipe.select.pass_rate
        strategy = Adaptive(options, generate.samples, plan.tasks.group_of, plan.limits(most), window)
    if not generate.retry:
        return strategy
    reworded = [at for at, variant in enumerate(generate.retry, 1) if variant.prompt is not None]
    return Retry(strategy, len(plan.tasks), most, [variant.samples for variant in generate.retry], reworded)
