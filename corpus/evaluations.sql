-- The evaluations of the corpus with their pass@1 over all prompts, the newest first. A figure whose value is NULL could
-- be computed once and no more.
SELECT e.job_id, any_value(e.name) AS name, any_value(e.model) AS model, max(e.k) AS samples_each,
    any_value({'value': e.value, 'low': e.low, 'high': e.high, 'prompts': e.prompts, 'samples': e.samples})
        FILTER (e.figure = 'pass@1' AND e.value IS NOT NULL) AS pass_1,
    max(e.created_at) AS computed_at
FROM latest_evaluations e
WHERE e.domain = ''
GROUP BY e.job_id
ORDER BY computed_at DESC, e.job_id
