-- Proved pairs by the two languages.
select
    left_language,
    right_language,
    count(*) as pairs,
    count(*) filter (where split = 'train') as train,
    count(*) filter (where split = 'validation') as validation,
    sum(cases)::bigint as cases,
    median(cases) as median_cases,
    count(*) filter (where tolerance = 'exact') as exact,
    count(distinct right_repo) as repositories
from read_parquet('pairs/pairs.parquet')
group by left_language, right_language
order by pairs desc, left_language, right_language
