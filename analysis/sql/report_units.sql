-- Functions considered, by language: taken as units, or turned away with a reason.
select
    language,
    count(*) as functions,
    count(*) filter (where accepted) as accepted,
    count(*) filter (where not accepted) as turned_away,
    count(distinct repo_name) as repositories
from read_parquet('pairs/units.parquet')
group by language
order by functions desc, language
