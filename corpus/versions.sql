-- The rows of every version of a dataset.
SELECT version, list(trace_id ORDER BY position) AS trace_ids
FROM datasets
WHERE name = $name
GROUP BY version
ORDER BY version
