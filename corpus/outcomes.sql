-- What became of each durable sample of a job, as a strategy is told it: correct where the split found no fault and
-- every verifier's latest verdict is correct; one that is wrong outweighs others, and so on down.
WITH mine AS (
    SELECT id, prompt_id, sample, len(faults) > 0 AS malformed, completion_tokens FROM traces WHERE job_id = $job
),
said AS (
    SELECT v.trace_id, v.verifier, arg_max(v.outcome, (v.created_at, v.version, v.outcome, v.reason)) AS outcome
    FROM verdicts v
    JOIN mine ON mine.id = v.trace_id
    GROUP BY v.trace_id, v.verifier
)
SELECT mine.prompt_id, mine.sample, mine.completion_tokens AS tokens,
    CASE
        WHEN mine.malformed THEN 'unparsed'
        WHEN bool_or(said.outcome = 'wrong') THEN 'wrong'
        WHEN bool_or(said.outcome = 'unparsed') THEN 'unparsed'
        WHEN bool_and(said.outcome = 'correct') THEN 'correct'
        ELSE 'undecided'
    END AS outcome
FROM mine
LEFT JOIN said ON said.trace_id = mine.id
GROUP BY mine.prompt_id, mine.sample, mine.completion_tokens, mine.malformed
