"""Makes traces: prompt sources, think formats, models, engines and the Ray cluster that hosts them."""
