-- Where each trace of a job stands: the stage at which it fell, why, and its place among those of its prompt that
-- could be chosen. `stage` is NULL for what the selection chooses.
WITH shown AS (
    SELECT * FROM metrics WHERE job_id = $job
),
judged AS (
    SELECT v.trace_id,
        bool_or(v.outcome NOT IN ('correct', 'undecided')) AS refuted,
        bool_or(v.outcome = 'undecided') OR NOT bool_or(v.verifier = s.verifier) AS undecided
    FROM latest_verdicts v
    JOIN shown s ON s.trace_id = v.trace_id
    GROUP BY v.trace_id
),
rates AS (
    -- Undecided traces say nothing of a prompt's difficulty, whichever verifier could not decide; neither do those that
    -- nobody judged. Malformed and refuted ones do.
    SELECT s.prompt_id, count(*) FILTER (s.correct)
        / count(*) FILTER (NOT s.well_formed OR coalesce(judged.refuted OR NOT judged.undecided, false)) AS pass_rate
    FROM shown s
    LEFT JOIN judged ON judged.trace_id = s.trace_id
    GROUP BY s.prompt_id
),
refused AS (
    -- The verdict that a trace fell by: its own verifier's, else the first by name.
    SELECT v.trace_id, arg_min(
        v.verifier || ': ' || v.outcome || '/' || split_part(v.reason, ': ', 1),
        (v.verifier IS DISTINCT FROM s.verifier, v.verifier)
    ) AS reason
    FROM latest_verdicts v
    JOIN shown s ON s.trace_id = v.trace_id
    WHERE v.outcome <> 'correct'
    GROUP BY v.trace_id
),
dropped AS (
    SELECT trace_id, min(filter || ': ' || reason) AS reason
    FROM drops
    WHERE job_id = $job AND policy = $policy
    GROUP BY trace_id
),
fallen AS (
    SELECT s.trace_id, s.prompt_id, s.sample, s.completion_tokens,
        CASE
            WHEN NOT s.well_formed THEN 'format'
            WHEN NOT s.correct THEN 'verify'
            WHEN dropped.trace_id IS NOT NULL THEN 'filter'
        END AS stage,
        CASE
            WHEN NOT s.well_formed THEN s.fault
            WHEN NOT s.correct THEN coalesce(refused.reason, s.verifier || ': unjudged', 'no prompt')
            ELSE dropped.reason
        END AS reason
    FROM shown s
    LEFT JOIN refused ON refused.trace_id = s.trace_id
    LEFT JOIN dropped ON dropped.trace_id = s.trace_id
),
placed AS (
    SELECT trace_id, row_number() OVER (
        PARTITION BY prompt_id
        ORDER BY
            CASE $order WHEN 'shortest' THEN completion_tokens WHEN 'longest' THEN -completion_tokens
                WHEN 'first' THEN sample END,
            CASE WHEN $order = 'random' THEN md5($seed || ':' || trace_id) END,
            trace_id
    ) AS place
    FROM fallen
    WHERE stage IS NULL
)
SELECT f.trace_id, f.prompt_id, f.completion_tokens, placed.place,
    CASE
        WHEN f.stage IS NOT NULL THEN NULL
        WHEN rates.pass_rate < $low THEN 'pass_rate_low'
        WHEN rates.pass_rate > $high THEN 'pass_rate_high'
        WHEN placed.place > $per_prompt THEN 'beyond_per_prompt'
    END AS unchosen,
    coalesce(f.stage, if(unchosen IS NULL, NULL, 'select')) AS stage,
    coalesce(f.reason, unchosen) AS reason
FROM fallen f
JOIN rates ON rates.prompt_id = f.prompt_id
LEFT JOIN placed ON placed.trace_id = f.trace_id
