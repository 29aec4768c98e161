-- Ids of the traces of a dataset version, in its order.
SELECT trace_id AS id
FROM datasets
WHERE name = $name AND version = $version
ORDER BY position
