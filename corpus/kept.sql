SELECT trace_id
FROM datasets
WHERE job_id = $job AND version = (SELECT max(version) FROM datasets WHERE job_id = $job)
ORDER BY md5(trace_id)
LIMIT $count
