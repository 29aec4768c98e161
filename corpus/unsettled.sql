-- Verdicts of a job that are to be made again: the engine of the model that judges had failed; or the prompt's own
-- verifier goes by a majority's label, and this one, which needs a reference, went by none or another, or has changed.
-- `names` are the job's verifiers, `current` each with its version. `label` is what to judge against where
-- `label_source` is 'majority'; NULL then says that there is no majority.
WITH said AS MATERIALIZED (
    SELECT v.*, t.prompt_id
    FROM latest_verdicts v
    JOIN traces t ON t.id = v.trace_id
    WHERE t.job_id = $job AND list_contains($names, v.verifier)
)
SELECT p AS prompt, t AS trace, s.verifier, s.created_at AS said_at, own.label_source, own.label
FROM said s
JOIN traces t ON t.id = s.trace_id
JOIN prompts p ON p.id = s.prompt_id
JOIN said own ON own.trace_id = s.trace_id AND own.verifier = p.verifier
WHERE split_part(s.reason, ': ', 1) = 'judge_failed'
    OR s.verifier <> p.verifier
        AND own.label_source = 'majority'
        AND (s.label_source = 'majority' OR split_part(s.reason, ': ', 1) = 'no_reference')
        AND (
            s.label IS DISTINCT FROM own.label
            OR s.label_source = 'majority' AND NOT list_contains($current, s.verifier || ' ' || s.version)
        )
