-- What the shards were asked to hold of each source, and what they hold; both in tokens.
with manifest as (
    select document from read_json_objects('shards/manifest.json') as t(document)
),
asked as (
    select entry.key as source, entry.value::double as target
    from manifest, json_each(document -> '$.target') as entry
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
    source,
    target / sum(target) over () as target_share,
    coalesce(tokens, 0) / sum(tokens) over () as share,
    target,
    coalesce(tokens, 0) as tokens,
    coalesce(tokens, 0) - coalesce(target, 0) as off_by,
    (select (document ->> '$.sequence_length')::bigint from manifest) as sequence_length,
    repeats
from asked
full join held using (source)
left join repeated using (source)
order by target desc nulls last, source
