-- Where each trace of a job stands: the stage at which it fell, why, its place among those of its prompt that could be
-- chosen, and the label it was judged by. `stage` is NULL for what the selection chooses.
WITH shown AS MATERIALIZED (
    SELECT t.id AS trace_id, t.prompt_id, t.sample, t.completion_tokens, len(t.faults) = 0 AS well_formed,
        t.faults[1] AS fault, p.verifier
    FROM traces t
    LEFT JOIN prompts p ON p.id = t.prompt_id
    WHERE t.job_id = $job
),
said AS (
    -- As in the view `latest_verdicts`, but of this job only and by sorting, which spills: arg_max's states cannot.
    SELECT v.trace_id, v.verifier, v.outcome, v.reason, v.label_source, v.label, s.verifier AS own
    FROM verdicts v
    JOIN shown s ON s.trace_id = v.trace_id
    QUALIFY lead(true) OVER (
        PARTITION BY v.trace_id, v.verifier ORDER BY v.created_at, v.version, v.outcome, v.reason
    ) IS NULL
),
judged AS (
    SELECT trace_id,
        bool_and(outcome = 'correct') AS all_correct,
        bool_or(verifier = own) AS by_own,
        bool_or(outcome NOT IN ('correct', 'undecided')) AS refuted,
        bool_or(outcome = 'undecided') OR NOT bool_or(verifier = own) AS undecided,
        any_value(label_source) FILTER (verifier = own) AS label_source,
        any_value(label) FILTER (verifier = own) AS label,
        -- The verdict that a trace fell by: its own verifier's, else the first by name.
        arg_min(
            verifier || ': ' || outcome || '/' || split_part(reason, ': ', 1),
            (verifier IS DISTINCT FROM own, verifier)
        ) FILTER (outcome <> 'correct') AS refusal
    FROM said
    GROUP BY trace_id
),
dropped AS (
    SELECT trace_id, min(filter || ': ' || reason) AS reason
    FROM drops
    WHERE job_id = $job AND policy = $policy
    GROUP BY trace_id
),
fallen AS MATERIALIZED (
    SELECT s.trace_id, s.prompt_id, s.sample, s.completion_tokens, j.label_source, j.label,
        coalesce(s.well_formed AND j.by_own AND j.all_correct, false) AS correct,
        -- Undecided traces say nothing of a prompt's difficulty, whichever verifier could not decide; neither do those
        -- that nobody judged. Malformed and refuted ones do.
        NOT s.well_formed OR coalesce(j.refuted OR NOT j.undecided, false) AS decided,
        CASE
            WHEN NOT s.well_formed THEN 'format'
            WHEN NOT correct THEN 'verify'
            WHEN dropped.trace_id IS NOT NULL THEN 'filter'
        END AS stage,
        CASE
            WHEN NOT s.well_formed THEN s.fault
            WHEN NOT correct THEN coalesce(j.refusal, s.verifier || ': unjudged', 'no prompt')
            ELSE dropped.reason
        END AS reason
    FROM shown s
    LEFT JOIN judged j ON j.trace_id = s.trace_id
    LEFT JOIN dropped ON dropped.trace_id = s.trace_id
),
rates AS (
    SELECT prompt_id, count(*) FILTER (correct) / count(*) FILTER (decided) AS pass_rate
    FROM fallen
    GROUP BY prompt_id
),
placed AS (
    SELECT f.*, if(f.stage IS NULL, row_number() OVER (
        PARTITION BY f.prompt_id, f.stage IS NULL
        ORDER BY
            CASE $order WHEN 'shortest' THEN f.completion_tokens WHEN 'longest' THEN -f.completion_tokens
                WHEN 'first' THEN f.sample END,
            CASE WHEN $order = 'random' THEN md5($seed || ':' || f.trace_id) END,
            f.trace_id
    ), NULL) AS place
    FROM fallen f
)
SELECT p.trace_id, p.prompt_id, p.completion_tokens, p.label_source, p.label, p.place,
    CASE
        WHEN p.stage IS NOT NULL THEN NULL
        WHEN rates.pass_rate < $low THEN 'pass_rate_low'
        WHEN rates.pass_rate > $high THEN 'pass_rate_high'
        WHEN p.place > $per_prompt THEN 'beyond_per_prompt'
    END AS unchosen,
    coalesce(p.stage, if(unchosen IS NULL, NULL, 'select')) AS stage,
    coalesce(p.reason, unchosen) AS reason
FROM placed p
JOIN rates ON rates.prompt_id = p.prompt_id
