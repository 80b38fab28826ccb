-- Why runs of an artifact do not stand in mixture_losses, with how many of each.
SELECT
    CASE
        WHEN runs.status <> 'finished' THEN runs.status
        WHEN runs.run_id IN (SELECT run_id FROM mixture_portions WHERE contains(source, ':'))
            THEN 'trained on parallel documents or natural language, too'
        ELSE 'never evaluated on a language that runs were trained on'
    END AS reason,
    count(*) AS number
FROM runs
ANTI JOIN mixture_losses USING (run_id)
GROUP BY reason
ORDER BY reason;
