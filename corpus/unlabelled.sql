-- Well-formed traces of a job in an order that the seed decides, and whether this labeller and version counted them.
SELECT t.id, a.trace_id IS NOT NULL AS is_labelled
FROM traces t
LEFT JOIN anatomy a ON a.trace_id = t.id AND a.labeller = $labeller AND a.version = $version
WHERE t.job_id = $job AND len(t.faults) = 0
ORDER BY md5($seed || ':' || t.id), t.id
LIMIT $count
