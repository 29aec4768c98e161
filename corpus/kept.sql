SELECT trace_id
FROM datasets
WHERE name = $name AND version = $version
ORDER BY md5(trace_id)
LIMIT $count
