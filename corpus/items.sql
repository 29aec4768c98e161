-- Traces of a job with their prompts, in a stable order, and how often each one's model solves its prompt. `accepted`
-- leaves those that `metrics` calls correct.
WITH asked AS MATERIALIZED (
    SELECT t.id, t.prompt_id, t.model, len(t.faults) = 0 AS well_formed, p.verifier
    FROM traces t
    JOIN prompts p ON p.id = t.prompt_id
    WHERE t.job_id = $job
),
said AS (
    -- As in standing.sql.
    SELECT v.trace_id, v.outcome, v.verifier = a.verifier AS is_own
    FROM verdicts v
    JOIN asked a ON a.id = v.trace_id
    QUALIFY lead(true) OVER (
        PARTITION BY v.trace_id, v.verifier ORDER BY v.created_at, v.version, v.outcome, v.reason
    ) IS NULL
),
judged AS (
    SELECT trace_id, bool_and(outcome = 'correct') AND bool_or(is_own) AS all_correct,
        bool_or(outcome NOT IN ('correct', 'undecided')) AS refuted,
        bool_or(outcome = 'undecided') OR NOT bool_or(is_own) AS undecided
    FROM said
    GROUP BY trace_id
),
stood AS MATERIALIZED (
    SELECT a.id, a.prompt_id, a.model,
        a.well_formed AND coalesce(j.all_correct, false) AS correct,
        NOT a.well_formed OR coalesce(j.refuted OR NOT j.undecided, false) AS decided
    FROM asked a
    LEFT JOIN judged j ON j.trace_id = a.id
),
rates AS (
    SELECT prompt_id, model, count(*) FILTER (correct) AS correct, count(*) FILTER (decided) AS decided
    FROM stood
    GROUP BY prompt_id, model
)
SELECT p AS prompt, t AS trace, {'correct': r.correct, 'decided': r.decided} AS rate
FROM traces t
JOIN stood s ON s.id = t.id
JOIN rates r ON r.prompt_id = s.prompt_id AND r.model = s.model
JOIN prompts p ON p.id = t.prompt_id
WHERE t.job_id = $job AND (NOT $accepted OR s.correct)
ORDER BY t.prompt_id, t.sample, t.id
