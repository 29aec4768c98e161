-- Numbers of `probe` (key, number) that share a band key with an indexed text, once for each such text, and its id.
WITH hits AS (
    SELECT DISTINCT probe.number, keys.text, replace(keys.filename, '.keys.parquet', '.ids.parquet') AS file
    FROM probe JOIN read_parquet($keys, filename = true) AS keys USING (key)
)
SELECT hits.number, ids.id
FROM hits JOIN read_parquet($ids, filename = true) AS ids ON ids.text = hits.text AND ids.filename = hits.file
ORDER BY hits.number, ids.id
