-- Of these traces, with their prompts, those that are in the newest version that a job which began earlier has cut of a
-- data set: what that job has kept.
WITH asked AS MATERIALIZED (
    SELECT id, job_id FROM traces WHERE id IN (SELECT unnest($ids))
),
begun AS (
    SELECT job_id, min(created_at) AS at
    FROM traces
    WHERE job_id = $job OR job_id IN (SELECT job_id FROM asked)
    GROUP BY job_id
),
newest AS (
    SELECT job_id, name, max(version) AS version
    FROM datasets
    WHERE job_id IN (SELECT job_id FROM asked)
    GROUP BY job_id, name
),
kept AS (
    SELECT DISTINCT d.trace_id
    FROM datasets d
    JOIN newest n ON n.job_id = d.job_id AND n.name = d.name AND n.version = d.version
)
SELECT p AS prompt, t AS trace
FROM traces t
JOIN asked a ON a.id = t.id
JOIN prompts p ON p.id = t.prompt_id
JOIN begun theirs ON theirs.job_id = t.job_id
JOIN begun ours ON ours.job_id = $job
WHERE (theirs.at, theirs.job_id) < (ours.at, ours.job_id) AND t.id IN (SELECT trace_id FROM kept)
