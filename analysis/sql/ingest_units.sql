-- Losses on one text that are in the database in another unit than those that come in.
SELECT DISTINCT runs.study, evaluations."language", evaluations.unit
FROM evaluations
JOIN runs USING (run_id)
ORDER BY ALL;
