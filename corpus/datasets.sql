-- All dataset versions; every row of a version carries the same job and selection.
SELECT name, version, count(*) AS rows, any_value(job_id) AS job_id, any_value(selection) AS selection
FROM datasets
GROUP BY name, version
ORDER BY name, version
