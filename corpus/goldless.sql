-- Traces of a job whose prompt has no gold answer, with the latest verdict of the prompt's own verifier, prompt by
-- prompt.
SELECT p AS prompt, t AS trace, v AS latest
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
LEFT JOIN latest_verdicts v ON v.trace_id = t.id AND v.verifier = p.verifier
WHERE t.job_id = $job AND NOT regexp_matches(p.reference, '\S')
ORDER BY t.prompt_id, t.sample, t.id
