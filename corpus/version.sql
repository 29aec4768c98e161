-- The rows of a dataset version, as they are stored. Made of the table `chosen`.
SELECT $name AS name, $version AS version, trace_id, position, label_source, $job AS job_id, $selection AS selection,
    make_timestamp($created_at) AS created_at, label
FROM chosen
ORDER BY position
