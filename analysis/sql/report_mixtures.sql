-- What each finished run on languages alone (no parallel documents, no text) scores at its end on every language, with what it was trained on.
with last_evaluations as (
    select
        run_id,
        language,
        arg_max(bits_per_byte, step) as bits_per_byte,
        arg_max(loss_nats, step) as loss_nats
    from read_parquet('runs/evaluations.parquet')
    group by run_id, language
)
select
    runs.run_id,
    last.language as target,
    runs.params_non_embedding,
    runs.params_total,
    runs.tokens,
    map_keys(runs.shares) as sources,
    map_values(runs.shares) as shares,
    coalesce(runs.repeats[last.language], 0) as epochs,
    runs.seed,
    last.bits_per_byte,
    last.loss_nats
from read_parquet('runs/runs.parquet') as runs
join last_evaluations as last on last.run_id = runs.run_id
where runs.status = 'finished' and len(list_filter(map_keys(runs.shares), lambda source: contains(source, ':'))) = 0
order by runs.run_id, last.language
