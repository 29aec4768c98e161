-- Traces of `standing` that are not in the data set version, or, with version 0, that nothing could choose: each with
-- the stage at which it fell and why. The commonest reason of each stage comes first, then the next one of each stage,
-- and only then a second trace of a reason, so that a few of them show as much as they can.
WITH fell AS (
    SELECT s.trace_id, coalesce(s.stage, 'select') AS stage, coalesce(s.reason, 'not_in_version') AS reason
    FROM standing s
    WHERE CASE WHEN $version = 0 THEN s.stage IS NOT NULL
        ELSE s.trace_id NOT IN (SELECT trace_id FROM datasets WHERE name = $name AND version = $version) END
),
reasons AS (
    SELECT stage, reason, row_number() OVER (PARTITION BY stage ORDER BY count(*) DESC, reason) AS rank
    FROM fell
    GROUP BY stage, reason
),
details AS (
    SELECT trace_id, min_by(detail, filter || ': ' || reason) AS detail
    FROM drops
    WHERE job_id = $job AND policy = $policy
    GROUP BY trace_id
)
SELECT f.trace_id, f.stage, f.reason, if(f.stage = 'filter', coalesce(details.detail, ''), '') AS detail
FROM fell f
JOIN reasons r ON r.stage = f.stage AND r.reason = f.reason
LEFT JOIN details ON details.trace_id = f.trace_id
ORDER BY row_number() OVER (PARTITION BY f.stage, f.reason ORDER BY md5(f.trace_id)), r.rank,
    list_position(['format', 'verify', 'filter', 'select'], f.stage), f.reason
LIMIT $count
