-- Token stores: what of each source there is to train on.
select
    source,
    split,
    documents,
    tokens,
    bytes,
    bytes / nullif(tokens, 0) as bytes_per_token
from read_json('tokens/*/*/store.json', columns = {
    source: 'varchar', split: 'varchar', documents: 'bigint', tokens: 'bigint', bytes: 'bigint'
})
order by source, split
