SELECT trace_id
FROM metrics
WHERE job_id = $job AND NOT correct
ORDER BY md5(trace_id)
LIMIT $count
