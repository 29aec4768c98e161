SELECT trace_id
FROM datasets
WHERE job_id = $job AND name = $name AND version = (SELECT max(version) FROM datasets WHERE job_id = $job AND name = $name)
ORDER BY md5(trace_id)
LIMIT $count
