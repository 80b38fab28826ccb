-- Candidates by the language across from the pivot and by verdict. Pairs that agree but are not kept, since the two
-- functions (or one of them, often enough) stand in pairs already, are `surplus`.
select
    left_language,
    right_language,
    verdict,
    count(*) as candidates
from (
    select left_language, right_language, verdict from read_parquet('pairs/pairs.parquet')
    union all
    select left_language, right_language, if(verdict = 'equivalent', 'surplus', verdict) as verdict
    from read_parquet('pairs/rejected.parquet')
)
group by left_language, right_language, verdict
order by left_language, right_language, verdict
