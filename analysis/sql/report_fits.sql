-- The fitted laws: every symbol with its 95% bootstrap interval.
select
    fit ->> '$.group' as language,
    fit ->> '$.law' as law,
    fit ->> '$.unit' as unit,
    estimate.key as symbol,
    estimate.value::double as estimate,
    (json_extract(fit, '$.intervals."' || estimate.key || '"[0]'))::double as low,
    (json_extract(fit, '$.intervals."' || estimate.key || '"[1]'))::double as high
from read_json_objects('laws/fits.jsonl', format = 'newline_delimited') as fits(fit),
    json_each(fit -> '$.estimates') as estimate
order by language, law, symbol
