-- Training loss by step; of a long run, the mean in each of forty equal stretches of the logarithm, at its last step.
with numbered as (
    select
        *,
        row_number() over (partition by run_id order by step) as position,
        count(*) over (partition by run_id) as points
    from read_parquet('runs/curves.parquet')
),
stretched as (
    select
        run_id,
        if(points <= 40, position, floor(40 * ln(position) / ln(points + 1))) as stretch,
        max(tokens) as tokens,
        avg(loss_nats) as loss_nats
    from numbered
    group by run_id, stretch
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
order by trained_on, params_non_embedding, run_tokens, stretched.run_id, stretched.tokens
