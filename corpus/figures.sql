-- Each figure of a job's chains by model, kept and rejected: how many have it, and its quantiles. Kept are those in the
-- latest version of a data set that the job cut.
WITH kept AS (
    SELECT trace_id
    FROM datasets
    WHERE job_id = $job
    QUALIFY version = max(version) OVER (PARTITION BY name)
),
measured AS (
    SELECT m.model, m.trace_id IN (SELECT trace_id FROM kept) AS is_kept, a.verification::DOUBLE AS verification,
        a.backtracking::DOUBLE AS backtracking, a.subgoals::DOUBLE AS subgoals,
        a.backward_chaining::DOUBLE AS backward_chaining, a.definition_end / nullif(m.reasoning_chars, 0) AS definition_share,
        a.bloom_end / nullif(m.reasoning_chars, 0) AS bloom_share, a.cycles::DOUBLE AS cycles,
        a.ruminations::DOUBLE AS ruminations, a.rumination, a.final_start / nullif(m.reasoning_chars, 0) AS final_share,
        a.words::DOUBLE AS words, a.paragraphs::DOUBLE AS paragraphs, a.flesch
    FROM anatomy a
    JOIN metrics m ON m.trace_id = a.trace_id
    WHERE m.job_id = $job AND a.labeller = 'markers' AND a.version = $version
),
long AS (
    UNPIVOT measured ON COLUMNS(* EXCLUDE (model, is_kept)) INTO NAME figure VALUE value
)
SELECT model, is_kept, figure, count(*) AS chains, avg(value) AS mean, quantile_cont(value, 0.1) AS p10,
    quantile_cont(value, 0.5) AS p50, quantile_cont(value, 0.9) AS p90, max(value) AS most
FROM long
GROUP BY model, is_kept, figure
ORDER BY model, is_kept DESC, figure
