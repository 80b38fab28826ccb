-- Training loss by step; of a long run, the first step in each of forty equal stretches of the logarithm, and the last.
with numbered as (
    select
        *,
        row_number() over (partition by run_id order by step) as position,
        count(*) over (partition by run_id) as points
    from read_parquet('runs/curves.parquet')
),
stretched as (
    select *, floor(40 * ln(position) / ln(points + 1)) as stretch
    from numbered
)
select
    stretched.run_id,
    runs.trained_on,
    runs.size,
    runs.params_non_embedding,
    runs.tokens as run_tokens,
    stretched.tokens,
    stretched.loss_nats
from stretched
join read_parquet('runs/runs.parquet') as runs on runs.run_id = stretched.run_id
qualify position = points or row_number() over (partition by stretched.run_id, stretch order by step) = 1
order by trained_on, params_non_embedding, run_tokens, stretched.run_id, stretched.step
