-- Candidates by the language across from the pivot and by verdict; proved pairs are those found equivalent.
select
    left_language,
    right_language,
    verdict,
    count(*) as candidates
from (
    select left_language, right_language, verdict from read_parquet('pairs/pairs.parquet')
    union all
    select left_language, right_language, verdict from read_parquet('pairs/rejected.parquet')
)
group by left_language, right_language, verdict
order by left_language, right_language, verdict
