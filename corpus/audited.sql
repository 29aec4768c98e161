-- What an audit can look at: traces of a job or of a dataset version with the latest verdict of their prompt's own
-- verifier. `place` is the trace's place among those of its stratum in an order that the seed decides.
-- Materialized, else DuckDB 2.0 may join prompts and verdicts by the verifier's name alone.
WITH asked AS MATERIALIZED (
    SELECT t.id, t.job_id, t.prompt_id, p.verifier
    FROM traces t
    JOIN prompts p ON p.id = t.prompt_id
    WHERE (t.job_id = $job OR $job IS NULL)
        AND ($name IS NULL OR t.id IN (SELECT trace_id FROM datasets WHERE name = $name AND version = $version))
)
SELECT a.id AS trace_id, a.job_id, a.prompt_id, v.verifier, v.version, v.outcome, v.reason, v.label,
    v.verifier || ' ' || v.outcome AS stratum,
    row_number() OVER (PARTITION BY v.verifier, v.outcome ORDER BY md5($seed || ':' || a.id), a.id) AS place
FROM asked a
JOIN latest_verdicts v ON v.trace_id = a.id AND v.verifier = a.verifier
