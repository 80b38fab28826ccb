-- Finished runs on the same mixture of pairs, once with each pair as one document and once with its halves parted: bits a byte on what both were measured on.
with measured as (
    select run_id, language as measured_on, 'language' as kind, arg_max(bits_per_byte, step) as bits_per_byte
    from read_parquet('runs/evaluations.parquet')
    group by run_id, language
    union all
    select
        run_id,
        source_language || ' to ' || target_language as measured_on,
        case when seen then 'translation, seen' else 'translation, unseen' end as kind,
        arg_max(bits_per_byte, step) as bits_per_byte
    from read_parquet('runs/translations.parquet')
    group by run_id, source_language, target_language, seen
)
select
    runs.mixture,
    runs.size,
    runs.params_non_embedding,
    runs.tokens,
    runs.seed,
    runs.learning_rate,
    kind,
    measured_on,
    max(bits_per_byte) filter (pairing = 'parallel') as parallel,
    max(bits_per_byte) filter (pairing = 'shuffled') as shuffled
from read_parquet('runs/runs.parquet') as runs
join measured on measured.run_id = runs.run_id
where runs.status = 'finished' and pairing in ('parallel', 'shuffled')
group by all
having parallel is not null and shuffled is not null
order by kind, measured_on, runs.mixture, runs.params_non_embedding, runs.tokens, runs.seed, runs.learning_rate
