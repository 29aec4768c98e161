-- Traces of a job with their prompts, in a stable order.
SELECT p AS prompt, t AS trace
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
WHERE t.job_id = $job AND (NOT $accepted OR t.id IN (SELECT trace_id FROM metrics WHERE job_id = $job AND correct))
ORDER BY t.prompt_id, t.sample, t.id
