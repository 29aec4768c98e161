-- What both trusted and guarded queries see, on top of one view for each table.

CREATE VIEW latest_verdicts AS
SELECT trace_id, verifier, latest.outcome AS outcome, latest.reason AS reason
FROM (
    SELECT trace_id, verifier,
        arg_max({'outcome': outcome, 'reason': reason}, (created_at, version, outcome, reason)) AS latest
    FROM verdicts
    GROUP BY trace_id, verifier
);

-- One row for each trace, without its text. `outcome` and `reason` are those of the prompt's own verifier.
CREATE VIEW metrics AS
WITH judged AS (
    SELECT trace_id, bool_and(outcome = 'correct') AS all_correct
    FROM latest_verdicts
    GROUP BY trace_id
)
SELECT
    t.id AS trace_id, t.job_id, t.prompt_id, p.domain, p.source, p.verifier, t.model, t.sample,
    len(t.faults) = 0 AS well_formed, t.faults[1] AS fault, own.outcome, own.reason,
    coalesce(len(t.faults) = 0 AND own.outcome = 'correct' AND judged.all_correct, false) AS correct,
    length(t.reasoning) AS reasoning_chars, length(t.answer) AS answer_chars,
    t.prompt_tokens, t.completion_tokens, t.finish_reason, t.created_at
FROM traces t
LEFT JOIN prompts p ON p.id = t.prompt_id
LEFT JOIN latest_verdicts own ON own.trace_id = t.id AND own.verifier = p.verifier
LEFT JOIN judged ON judged.trace_id = t.id;
