-- The recommended share of every language with its 95% interval, and the loss predicted there and under uniform shares.
with answer as (
    select document from read_json_objects('allocation/allocation.json') as t(document)
)
select
    row.value ->> '$.language' as source,
    (row.value ->> '$.share')::double as share,
    (row.value ->> '$.interval[0]')::double as low,
    (row.value ->> '$.interval[1]')::double as high,
    (row.value ->> '$.uniform_share')::double as uniform_share,
    (row.value ->> '$.tokens')::bigint as tokens,
    (row.value ->> '$.epochs')::double as epochs,
    row.value ->> '$.verdict' as verdict,
    (row.value ->> '$.predicted')::double as predicted,
    (row.value ->> '$.predicted_interval[0]')::double as predicted_low,
    (row.value ->> '$.predicted_interval[1]')::double as predicted_high,
    (row.value ->> '$.uniform_predicted')::double as uniform_predicted,
    (row.value ->> '$.uniform_predicted')::double - (row.value ->> '$.predicted')::double as gain
from answer, json_each(document -> '$.by_language') as row
order by share desc, source
