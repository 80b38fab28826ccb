-- Documents of the corpus by language and split.
select
    language,
    count(*) as documents,
    sum(length)::bigint as bytes,
    count(*) filter (where split = 'train') as train_documents,
    coalesce(sum(length) filter (where split = 'train'), 0)::bigint as train_bytes,
    count(*) filter (where split = 'validation') as validation_documents,
    coalesce(sum(length) filter (where split = 'validation'), 0)::bigint as validation_bytes,
    count(distinct repo_name) as repositories
from read_parquet('corpus/documents/*/*/*.parquet', hive_partitioning = true)
group by language
order by documents desc, language
