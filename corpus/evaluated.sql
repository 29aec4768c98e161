-- Traces of a job with their prompts and what the prompt's own verifier says last, prompt by prompt. Where it went by the
-- answer of a majority, which is no gold answer, or never judged, the outcome is 'undecided'.
WITH mine AS (
    SELECT t.id, p.verifier
    FROM traces t
    JOIN prompts p ON p.id = t.prompt_id
    WHERE t.job_id = $job
),
said AS (
    -- As in standing.sql.
    SELECT v.trace_id, v.outcome, v.label_source
    FROM verdicts v
    JOIN mine m ON m.id = v.trace_id AND m.verifier = v.verifier
    QUALIFY lead(true) OVER (PARTITION BY v.trace_id ORDER BY v.created_at, v.version, v.outcome, v.reason) IS NULL
)
SELECT p AS prompt, t AS trace, if(s.outcome IS NULL OR s.label_source = 'majority', 'undecided', s.outcome) AS outcome
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
LEFT JOIN said s ON s.trace_id = t.id
WHERE t.job_id = $job
ORDER BY t.prompt_id, t.sample, t.id
