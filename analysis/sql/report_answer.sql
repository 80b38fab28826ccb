-- The allocation as a whole: what was asked, and the mean loss predicted for it and for uniform shares.
select
    (document ->> '$.params')::double as params,
    (document ->> '$.budget')::double as budget,
    document ->> '$.unit' as unit,
    (document ->> '$.predicted')::double as predicted,
    (document ->> '$.uniform_predicted')::double as uniform_predicted,
    (document ->> '$.gain')::double as gain,
    (document ->> '$.intervals.gain[0]')::double as gain_low,
    (document ->> '$.intervals.gain[1]')::double as gain_high,
    (document ->> '$.regret.recommended.mean')::double as regret,
    (document ->> '$.regret.uniform.mean')::double as uniform_regret
from read_json_objects('allocation/allocation.json') as t(document)
