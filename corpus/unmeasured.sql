-- The reasoning of a job's well-formed traces that have no figures of this labeller and version yet.
SELECT t.id, t.reasoning
FROM traces t
WHERE t.job_id = $job AND len(t.faults) = 0 AND NOT EXISTS (
    SELECT 1
    FROM anatomy a
    WHERE a.trace_id = t.id AND a.labeller = $labeller AND a.version = $version
)
