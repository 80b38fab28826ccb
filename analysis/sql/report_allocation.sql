-- The recommended share of every source, with its 95% interval, and the tokens it stands for.
with answer as (
    select document from read_json_objects('allocation/allocation.json') as t(document)
)
select
    share.key as source,
    share.value::double as share,
    (json_extract(document, '$.intervals.shares."' || share.key || '"[0]'))::double as low,
    (json_extract(document, '$.intervals.shares."' || share.key || '"[1]'))::double as high,
    share.value::double * (document ->> '$.tokens')::double as tokens,
    1 / count(*) over () as uniform_share
from answer, json_each(document -> '$.shares') as share
order by share desc, source
