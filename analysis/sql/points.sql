-- What a fit reads of each row: as text for messages, as numbers for the fit, whole for finding doubles.
SELECT
    line,
    CAST({by} AS VARCHAR) AS "group",
    CAST({params} AS VARCHAR) AS params_text,
    TRY_CAST({params} AS DOUBLE) AS params,
    CAST({tokens} AS VARCHAR) AS tokens_text,
    TRY_CAST({tokens} AS DOUBLE) AS tokens,
    CAST({loss} AS VARCHAR) AS loss_text,
    TRY_CAST({loss} AS DOUBLE) AS loss,
    md5(CAST(whole AS VARCHAR)) AS digest
FROM (SELECT row_number() OVER () AS line, source AS whole, source.* FROM source) AS numbered
WHERE {where}
ORDER BY line;
