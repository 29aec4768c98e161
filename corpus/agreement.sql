-- What the markers and a labeller counted in the traces of a job that both looked at.
SELECT m.trace_id, m.verification AS verification, l.verification AS labelled_verification,
    m.backtracking AS backtracking, l.backtracking AS labelled_backtracking,
    m.subgoals AS subgoals, l.subgoals AS labelled_subgoals,
    m.backward_chaining AS backward_chaining, l.backward_chaining AS labelled_backward_chaining
FROM anatomy m
JOIN anatomy l ON l.trace_id = m.trace_id
WHERE m.job_id = $job AND m.labeller = 'markers' AND m.version = $markers
    AND l.labeller = $labeller AND l.version = $version
ORDER BY m.trace_id
