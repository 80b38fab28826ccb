-- Training runs, each with its last validation loss on the language it was trained on (all languages' mean for a mixture).
with last_evaluations as (
    select
        run_id,
        language,
        arg_max(bits_per_byte, step) as bits_per_byte,
        arg_max(loss_nats, step) as loss_nats
    from read_parquet('runs/evaluations.parquet')
    group by run_id, language
),
own as (
    select
        runs.run_id,
        avg(bits_per_byte) as bits_per_byte,
        avg(loss_nats) as loss_nats
    from read_parquet('runs/runs.parquet') as runs
    join last_evaluations as last
        on last.run_id = runs.run_id and (last.language = runs.trained_on or runs.trained_on = 'mixture')
    group by runs.run_id
)
select
    runs.run_id,
    trained_on,
    mixture,
    size,
    params_non_embedding,
    params_total,
    tokens,
    list_max(map_values(repeats)) as epochs,
    flops,
    final_train_loss_nats,
    own.loss_nats as validation_loss_nats,
    own.bits_per_byte as validation_bits_per_byte,
    learning_rate,
    steps,
    seconds,
    device,
    status,
    seed,
    command
from read_parquet('runs/runs.parquet') as runs
left join own on own.run_id = runs.run_id
order by trained_on, params_non_embedding, tokens, runs.run_id
