-- Of these traces, with their prompts, those that jobs which began earlier have kept: correct, and dropped by nothing.
WITH begun AS (
    SELECT job_id, min(created_at) AS at FROM traces GROUP BY job_id
)
SELECT p AS prompt, t AS trace
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
JOIN metrics m ON m.trace_id = t.id
JOIN begun theirs ON theirs.job_id = t.job_id
JOIN begun ours ON ours.job_id = $job
WHERE t.id IN (SELECT unnest($ids)) AND m.correct AND (theirs.at, theirs.job_id) < (ours.at, ours.job_id)
    AND t.id NOT IN (SELECT trace_id FROM drops)
