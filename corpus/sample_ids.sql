-- Ids of all traces of a job, or of the well-formed ones, whatever was said of them.
SELECT id
FROM traces
WHERE job_id = $job AND (NOT $well_formed OR len(faults) = 0)
ORDER BY prompt_id, sample, id
