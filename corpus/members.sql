-- The traces of a dataset version with their prompts, in the version's order.
SELECT d.label_source, d.label, p AS prompt, t AS trace
FROM datasets d
JOIN traces t ON t.id = d.trace_id
JOIN prompts p ON p.id = t.prompt_id
WHERE d.name = $name AND d.version = $version
ORDER BY d.position
