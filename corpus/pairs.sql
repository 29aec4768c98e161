-- Pairs for preferences: ids of the traces of a dataset version, each with a wrong one of the same prompt and job, each
-- used once; in the version's order. Wrong is what the prompt's own verifier refutes; what it could not read or decide is
-- no evidence. Whole and well-formed ones first.
WITH chosen AS (
    SELECT d.trace_id, t.prompt_id, d.position,
        row_number() OVER (PARTITION BY t.prompt_id ORDER BY d.position) AS place
    FROM datasets d
    JOIN traces t ON t.id = d.trace_id
    WHERE d.name = $name AND d.version = $version
),
refuted AS (
    SELECT m.trace_id, m.prompt_id,
        row_number() OVER (
            PARTITION BY m.prompt_id ORDER BY m.finish_reason = 'length', NOT m.well_formed, m.sample, m.trace_id
        ) AS place
    FROM metrics m
    WHERE m.job_id = $job AND m.outcome = 'wrong'
)
SELECT chosen.trace_id AS id, refuted.trace_id AS rejected
FROM chosen
JOIN refuted ON refuted.prompt_id = chosen.prompt_id AND refuted.place = chosen.place
ORDER BY chosen.position
