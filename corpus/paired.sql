-- The pairs of these traces, given by their ids, with their prompts; in the order of the ids.
WITH asked AS (
    SELECT unnest($chosen) AS chosen, unnest($rejected) AS rejected, generate_subscripts($chosen, 1) AS place
)
SELECT p AS prompt, c AS chosen, w AS rejected
FROM asked
JOIN traces c ON c.id = asked.chosen
JOIN traces w ON w.id = asked.rejected
JOIN prompts p ON p.id = c.prompt_id
ORDER BY asked.place
