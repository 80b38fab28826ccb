-- Where the files came from: one row a source.
select
    name,
    spec,
    revision_id,
    sha256,
    array_to_string(licenses, ', ') as licenses,
    files,
    bytes
from read_parquet('corpus/sources.parquet')
order by name
