-- What each finished run scores at its end on translations of held-out pairs, over the directions that pairs have (seen) and over all others, weighted by bytes.
with last_step as (
    select run_id, max(step) as step
    from read_parquet('runs/translations.parquet')
    group by run_id
)
select
    runs.run_id,
    runs.mixture,
    nullif(runs.pairing, '') as pairing,
    runs.size,
    runs.params_non_embedding,
    runs.tokens,
    sum(instances) as instances,
    sum(left_out) as left_out,
    sum(bits_per_byte * evaluated_bytes) filter (seen) / sum(evaluated_bytes) filter (seen) as seen,
    sum(bits_per_byte * evaluated_bytes) filter (not seen) / sum(evaluated_bytes) filter (not seen) as unseen
from read_parquet('runs/translations.parquet') as translations
join last_step using (run_id, step)
join read_parquet('runs/runs.parquet') as runs using (run_id)
where runs.status = 'finished'
group by all
order by runs.mixture, pairing, runs.params_non_embedding, runs.tokens, runs.run_id
