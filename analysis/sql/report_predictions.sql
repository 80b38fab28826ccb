-- The predicted loss of every language under the recommended allocation and under uniform shares.
with answer as (
    select document from read_json_objects('allocation/allocation.json') as t(document)
)
select
    predicted.key as language,
    predicted.value::double as predicted,
    (json_extract(document, '$.uniform_predicted."' || predicted.key || '"'))::double as uniform_predicted,
    (json_extract(document, '$.uniform_predicted."' || predicted.key || '"'))::double - predicted.value::double as gain
from answer, json_each(document -> '$.predicted') as predicted
order by gain desc, language
