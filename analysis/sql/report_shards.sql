-- What the shards were asked to hold, and what they hold, by source.
with manifest as (
    select document from read_json_objects('shards/manifest.json') as t(document)
),
target as (
    select entry.key as source, entry.value::double as target_share
    from manifest, json_each(coalesce(document -> '$.target.shares', document -> '$.target')) as entry
),
held as (
    select entry.key as source, entry.value::bigint as tokens
    from manifest, json_each(document -> '$.tokens') as entry
),
repeated as (
    select entry.key as source, entry.value::double as repeats
    from manifest, json_each(document -> '$.repeats') as entry
)
select
    coalesce(target.source, held.source) as source,
    target_share,
    tokens,
    tokens / sum(tokens) over () as share,
    repeats
from target
full join held using (source)
left join repeated on repeated.source = coalesce(target.source, held.source)
order by target_share desc nulls last, source
