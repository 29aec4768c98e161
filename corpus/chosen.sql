-- The traces of these ids with their prompts.
SELECT p AS prompt, t AS trace
FROM traces t
JOIN prompts p ON p.id = t.prompt_id
WHERE t.id IN (SELECT unnest($ids))
