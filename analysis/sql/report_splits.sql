-- The corpus as a whole, and near-duplicate clusters that reach over from training into validation (there must be none).
select
    count(*) as documents,
    sum(length)::bigint as bytes,
    count(distinct repo_name) as repositories,
    (
        select count(*)
        from (
            select cluster
            from read_parquet('corpus/documents/*/*/*.parquet', hive_partitioning = true)
            group by cluster
            having count(distinct split) > 1
        )
    ) as clusters_in_both
from read_parquet('corpus/documents/*/*/*.parquet', hive_partitioning = true)
