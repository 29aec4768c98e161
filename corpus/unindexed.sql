-- Correct traces of other jobs, with their prompts, that the table `indexed` (id) does not have.
SELECT p AS prompt, t AS trace
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
JOIN metrics m ON m.trace_id = t.id
WHERE m.correct AND t.job_id <> $job AND t.id NOT IN (SELECT id FROM indexed)
