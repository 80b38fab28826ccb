-- What was checked of the tables that were written, by artifact.
select
    regexp_extract(replace(filename, chr(92), '/'), '([^/]+)/contract[.]parquet$', 1) as artifact,
    contract,
    expectation,
    arguments,
    why,
    success,
    checked,
    unexpected
from read_parquet('*/contract.parquet', filename = true)
order by artifact, contract, expectation, arguments
