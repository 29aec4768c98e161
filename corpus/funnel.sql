-- How many traces of a job stand where. With a dataset version, what is in it is kept and what could have been is not.
WITH members AS (
    SELECT trace_id FROM datasets WHERE name = $name AND version = $version
),
counted AS (
    SELECT s.*, s.trace_id IN (SELECT trace_id FROM members) AS is_member
    FROM standing s
)
SELECT
    CASE WHEN coalesce(stage, 'select') = 'select' THEN if(is_member OR $name IS NULL, NULL, 'select') ELSE stage END
        AS at_stage,
    if(at_stage IS NULL, NULL, coalesce(reason, 'not_in_version')) AS why,
    count(*) AS traces,
    sum(completion_tokens)::BIGINT AS tokens
FROM counted
GROUP BY ALL
ORDER BY traces DESC, at_stage, why
