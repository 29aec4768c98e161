-- The latest version of a dataset, how it was cut, and whether its rows are those of `chosen` in the same order.
WITH latest AS (
    SELECT version, any_value(selection) AS selection
    FROM datasets
    WHERE name = $name
    GROUP BY version
    ORDER BY version DESC
    LIMIT 1
),
there AS (
    SELECT position, trace_id, label_source, label
    FROM datasets
    WHERE name = $name AND version = (SELECT version FROM latest)
)
SELECT version, selection, NOT EXISTS (
    SELECT 1
    FROM there t
    FULL JOIN chosen c ON c.position = t.position
    WHERE t.trace_id IS DISTINCT FROM c.trace_id
        OR t.label_source IS DISTINCT FROM c.label_source
        OR t.label IS DISTINCT FROM c.label
) AS is_same
FROM latest
