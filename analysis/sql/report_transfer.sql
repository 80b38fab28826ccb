-- What each run at the largest model and most tokens it shares with others scores on every language, by what it was trained on.
with last_evaluations as (
    select run_id, language, arg_max(bits_per_byte, step) as bits_per_byte
    from read_parquet('runs/evaluations.parquet')
    group by run_id, language
),
largest as (
    select max(params_non_embedding) as params, arg_max(size, params_non_embedding) as size
    from read_parquet('runs/runs.parquet')
    where status = 'finished'
),
longest as (
    select trained_on, max(tokens) as tokens
    from read_parquet('runs/runs.parquet'), largest
    where status = 'finished' and params_non_embedding = largest.params
    group by trained_on
)
select
    runs.trained_on,
    last.language,
    any_value(runs.size) as size,
    any_value(runs.tokens) as tokens,
    count(*) as runs,
    avg(last.bits_per_byte) as bits_per_byte
from read_parquet('runs/runs.parquet') as runs
join longest on longest.trained_on = runs.trained_on and longest.tokens = runs.tokens
join largest on largest.params = runs.params_non_embedding
join last_evaluations as last on last.run_id = runs.run_id
where runs.status = 'finished'
group by runs.trained_on, last.language
order by runs.trained_on, last.language
