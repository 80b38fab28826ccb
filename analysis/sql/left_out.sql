-- Why runs of an artifact do not stand in final_losses, with how many of each.
SELECT
    CASE
        WHEN runs.status <> 'finished' THEN runs.status
        WHEN runs.trained_on = 'mixture' THEN 'trained on a mixture'
        ELSE 'never evaluated on ' || runs.trained_on
    END AS reason,
    count(*) AS number
FROM runs
ANTI JOIN final_losses USING (run_id)
GROUP BY reason
ORDER BY reason;
