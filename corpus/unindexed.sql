-- Traces that are in a data set of another job, with their prompts, and that the table `indexed` (id) does not have.
WITH missing AS MATERIALIZED (
    SELECT DISTINCT trace_id
    FROM datasets
    WHERE job_id <> $job AND trace_id NOT IN (SELECT id FROM indexed)
)
SELECT p AS prompt, t AS trace
FROM traces t
JOIN missing m ON m.trace_id = t.id
JOIN prompts p ON p.id = t.prompt_id
