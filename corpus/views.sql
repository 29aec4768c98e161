-- What both trusted and guarded queries see, on top of one view for each table.

-- The drops that stand. A row without a filter takes back those before it of its trace, job and policy: of more samples,
-- a sieve may keep others.
CREATE VIEW drops AS
SELECT *
FROM every_drop d
WHERE d.filter <> '' AND NOT EXISTS (
    SELECT 1
    FROM every_drop l
    WHERE l.filter = '' AND l.trace_id = d.trace_id AND l.job_id = d.job_id AND l.policy = d.policy
        AND l.created_at >= d.created_at
);

CREATE VIEW latest_verdicts AS
SELECT trace_id, verifier, latest.version AS version, latest.outcome AS outcome, latest.reason AS reason,
    latest.extracted AS extracted, latest.label_source AS label_source, latest.label AS label,
    latest.created_at AS created_at
FROM (
    SELECT trace_id, verifier,
        arg_max({
            'version': version, 'outcome': outcome, 'reason': reason, 'extracted': extracted,
            'label_source': label_source, 'label': label, 'created_at': created_at
        }, (created_at, version, outcome, reason)) AS latest
    FROM verdicts
    GROUP BY trace_id, verifier
);

-- The figures of each trace, by markers or as a model counted them, each by the latest version.
CREATE VIEW latest_anatomy AS
SELECT *
FROM anatomy
QUALIFY lead(true) OVER (PARTITION BY trace_id, labeller ORDER BY created_at, version) IS NULL;

-- One row for each trace, without its text. `outcome`, `reason`, `label_source` and `label` are those of the verdict of the
-- prompt's own verifier.
CREATE VIEW metrics AS
WITH judged AS (
    SELECT trace_id, bool_and(outcome = 'correct') AS all_correct
    FROM latest_verdicts
    GROUP BY trace_id
)
SELECT
    t.id AS trace_id, t.job_id, t.prompt_id, p.domain, p.source, p.verifier, t.model, t.sample,
    len(t.faults) = 0 AS well_formed, t.faults[1] AS fault, own.outcome, own.reason,
    own.label_source, own.label,
    coalesce(len(t.faults) = 0 AND own.outcome = 'correct' AND judged.all_correct, false) AS correct,
    length(t.reasoning) AS reasoning_chars, length(t.answer) AS answer_chars,
    t.prompt_tokens, t.completion_tokens, t.finish_reason, t.created_at
FROM traces t
LEFT JOIN prompts p ON p.id = t.prompt_id
LEFT JOIN latest_verdicts own ON own.trace_id = t.id AND own.verifier = p.verifier
LEFT JOIN judged ON judged.trace_id = t.id;

-- What was logged last of each step: a training that goes on from a checkpoint logs the steps after it again.
CREATE VIEW latest_training AS
SELECT *
FROM training
QUALIFY lead(true) OVER (PARTITION BY run_id, step, figure ORDER BY created_at) IS NULL;

-- The figures of each evaluation as they were computed last.
CREATE VIEW latest_evaluations AS
SELECT *
FROM evaluations
QUALIFY lead(true) OVER (PARTITION BY job_id, domain, figure, k ORDER BY created_at) IS NULL;
