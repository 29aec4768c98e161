-- Traces of a job with their prompts, in a stable order. `accepted` leaves those that `metrics` calls correct.
WITH asked AS MATERIALIZED (
    SELECT t.id, p.verifier
    FROM traces t
    JOIN prompts p ON p.id = t.prompt_id
    WHERE $accepted AND t.job_id = $job AND len(t.faults) = 0
),
said AS (
    -- As in standing.sql.
    SELECT v.trace_id, v.outcome = 'correct' AS is_correct, v.verifier = a.verifier AS is_own
    FROM verdicts v
    JOIN asked a ON a.id = v.trace_id
    QUALIFY lead(true) OVER (
        PARTITION BY v.trace_id, v.verifier ORDER BY v.created_at, v.version, v.outcome, v.reason
    ) IS NULL
),
correct AS (
    SELECT trace_id FROM said GROUP BY trace_id HAVING bool_and(is_correct) AND bool_or(is_own)
)
SELECT p AS prompt, t AS trace
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
WHERE t.job_id = $job AND (NOT $accepted OR t.id IN (SELECT trace_id FROM correct))
ORDER BY t.prompt_id, t.sample, t.id
