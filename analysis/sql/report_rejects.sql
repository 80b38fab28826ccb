-- Rejected files by stage, reason and language; a file outside the registry has no language.
select
    stage,
    reason,
    coalesce(language, 'outside') as language,
    count(*) as files,
    sum(length)::bigint as bytes
from read_parquet('corpus/rejects.parquet')
group by stage, reason, coalesce(language, 'outside')
order by stage, files desc, reason, language
