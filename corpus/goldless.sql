-- Traces of a job whose prompt has no gold answer, with the latest verdict of the prompt's own verifier, prompt by
-- prompt. `blank` holds the characters that Python strips, for RE2's \s knows those of ASCII only.
SELECT p AS prompt, t AS trace, v AS latest
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
LEFT JOIN latest_verdicts v ON v.trace_id = t.id AND v.verifier = p.verifier
WHERE t.job_id = $job AND trim(p.reference, $blank) = ''
ORDER BY t.prompt_id, t.sample, t.id
