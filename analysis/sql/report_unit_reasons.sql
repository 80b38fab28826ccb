-- Why functions were turned away; what follows a colon, and numbers, are left out of the reason.
select
    regexp_replace(trim(split_part(reason, ':', 1)), '[0-9]+', 'N', 'g') as cause,
    count(*) as functions,
    count(distinct language) as languages
from read_parquet('pairs/units.parquet')
where not accepted
group by cause
order by functions desc, cause
limit 25
