-- The latest version of a dataset: its rows in order, and how it was cut.
SELECT version, any_value(selection) AS selection, list(trace_id ORDER BY position) AS trace_ids
FROM datasets
WHERE name = $name AND version = (SELECT max(version) FROM datasets WHERE name = $name)
GROUP BY version
