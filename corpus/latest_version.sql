-- The latest version of a dataset: its rows in order, and how it was cut.
SELECT version, any_value(selection) AS selection,
    list({'trace_id': trace_id, 'label_source': label_source, 'label': label} ORDER BY position) AS chosen
FROM datasets
WHERE name = $name AND version = (SELECT max(version) FROM datasets WHERE name = $name)
GROUP BY version
