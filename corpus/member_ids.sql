-- Ids of the traces of a dataset version, in its order, each with the label that a majority gave it, else "".
SELECT trace_id AS id, coalesce(label, '') AS label
FROM datasets
WHERE name = $name AND version = $version
ORDER BY position
