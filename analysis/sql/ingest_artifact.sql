-- Every evaluation of the runs of an artifact, in the form that ingest takes.
SELECT
    runs.run_id AS "name",
    runs.params_total,
    runs.params_non_embedding,
    runs.shares,
    runs.status,
    evaluations."language",
    evaluations.tokens,
    evaluations.bits_per_byte AS loss
FROM runs
JOIN evaluations USING (run_id)
ORDER BY runs.run_id, evaluations."language", evaluations.tokens;
