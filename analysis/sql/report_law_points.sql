-- The points the laws are fitted to: each finished run with its last validation loss on the language it was trained on.
select
    runs.run_id,
    runs.trained_on as language,
    runs.size,
    runs.params_non_embedding,
    runs.params_total,
    runs.tokens,
    arg_max(evaluations.bits_per_byte, evaluations.step) as bits_per_byte,
    arg_max(evaluations.loss_nats, evaluations.step) as loss_nats
from read_parquet('runs/runs.parquet') as runs
join read_parquet('runs/evaluations.parquet') as evaluations
    on evaluations.run_id = runs.run_id and evaluations.language = runs.trained_on
where runs.status = 'finished'
group by all
order by language, params_non_embedding, tokens, runs.run_id
