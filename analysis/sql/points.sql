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
    {shares} AS shares,
    CAST({unique} AS VARCHAR) AS unique_text,
    TRY_CAST({unique} AS DOUBLE) AS "unique",
    CAST({weight} AS VARCHAR) AS weight_text,
    TRY_CAST({weight} AS DOUBLE) AS weight,
    CAST({trunk} AS VARCHAR) AS trunk,
    md5(CAST(whole AS VARCHAR)) AS digest
FROM (SELECT row_number() OVER () AS line, source AS whole, source.* FROM source) AS numbered
WHERE {where}
ORDER BY line;
