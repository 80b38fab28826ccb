-- Training loss by step; of a long run, one step in every stretch of a fortieth, and the last.
with numbered as (
    select
        *,
        row_number() over (partition by run_id order by step) as position,
        count(*) over (partition by run_id) as points
    from read_parquet('runs/curves.parquet')
)
select
    numbered.run_id,
    runs.trained_on,
    runs.size,
    runs.params_non_embedding,
    runs.tokens as run_tokens,
    numbered.tokens,
    numbered.loss_nats
from numbered
join read_parquet('runs/runs.parquet') as runs on runs.run_id = numbered.run_id
where (position - 1) % greatest(1, (points / 40)::bigint) = 0 or position = points
order by trained_on, params_non_embedding, run_tokens, numbered.run_id, numbered.step
