-- Size of each stratum of `audited`, with a fingerprint of the verdicts in it.
SELECT stratum, verifier, outcome, count(*) AS size,
    bit_xor(md5_number_lower(concat_ws('|', trace_id, version, label)))::VARCHAR AS fingerprint
FROM audited
GROUP BY ALL
ORDER BY stratum
