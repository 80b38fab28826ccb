-- How well each law was fitted, and how far off it was on the largest runs when they were left out.
select
    fit ->> '$.group' as language,
    fit ->> '$.law' as law,
    fit ->> '$.unit' as unit,
    (fit ->> '$.n_runs')::bigint as n_runs,
    (fit ->> '$.objective')::double as objective,
    (fit ->> '$.residual')::double as residual,
    (fit ->> '$.converged')::boolean as converged,
    json_array_length(fit -> '$.draws')::bigint as draws,
    (fit ->> '$.heldout.mean_relative_error')::double as heldout_mean,
    (fit ->> '$.heldout.largest_relative_error')::double as heldout_largest,
    fit ->> '$.heldout.rule' as heldout_rule
from read_json_objects('laws/fits.jsonl', format = 'newline_delimited') as fits(fit)
order by language, law
