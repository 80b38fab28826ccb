-- Why candidates failed; what follows a colon, and numbers, differ from case to case and are left out of the reason.
select
    if(verdict = 'equivalent', 'surplus', verdict) as verdict,
    regexp_replace(trim(split_part(reason, ':', 1)), '[0-9]+', 'N', 'g') as cause,
    count(*) as candidates,
    count(distinct right_language) as languages,
    min(left_entry || ' / ' || right_entry || ': ' || left(reason, 200)) as example
from read_parquet('pairs/rejected.parquet')
group by all
order by candidates desc, verdict, cause
limit 40
