-- Every file seen, by language: kept as a document, or rejected at one stage. Of those rejected while reading, `unread`
-- are links and the like, which a source does not count among its files.
select
    language,
    count(*) as files,
    count(*) filter (where stage = 'kept') as kept,
    count(*) filter (where stage = 'read') as read,
    count(*) filter (where stage = 'read' and detail = 'not read') as unread,
    count(*) filter (where stage = 'classify') as classify,
    count(*) filter (where stage = 'filter') as filter,
    count(*) filter (where stage = 'licence') as licence,
    count(*) filter (where stage = 'exact') as exact,
    count(*) filter (where stage = 'near') as near,
    count(*) filter (where stage not in ('kept', 'read', 'classify', 'filter', 'licence', 'exact', 'near')) as other
from (
    select language, 'kept' as stage, '' as detail
    from read_parquet('corpus/documents/*/*/*.parquet', hive_partitioning = true)
    union all
    select coalesce(language, 'outside'), stage, detail
    from read_parquet('corpus/rejects.parquet')
)
group by language
order by kept desc, files desc, language
