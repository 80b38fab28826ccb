-- One row a run, one row an evaluation of it; what `polymix fit` reads of them.
CREATE TABLE IF NOT EXISTS runs (
    run_id VARCHAR PRIMARY KEY,
    "name" VARCHAR NOT NULL,
    study VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    params_total DOUBLE,
    params_non_embedding DOUBLE,
    shares MAP(VARCHAR, DOUBLE),
    status VARCHAR NOT NULL,
    digest VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS evaluations (
    run_id VARCHAR NOT NULL,
    "language" VARCHAR NOT NULL,
    tokens DOUBLE NOT NULL,
    loss DOUBLE NOT NULL,
    unit VARCHAR NOT NULL,
    PRIMARY KEY (run_id, "language", tokens)
);
CREATE OR REPLACE VIEW final_losses AS
SELECT
    runs.run_id,
    runs."name",
    runs.study,
    evaluations."language",
    runs.params_non_embedding,
    runs.params_total,
    evaluations.tokens,
    evaluations.loss,
    evaluations.unit,
    runs.shares,
    runs.run_id AS trunk
FROM runs
JOIN evaluations USING (run_id)
WHERE runs.status = 'finished'
QUALIFY row_number() OVER (PARTITION BY runs.run_id, evaluations."language" ORDER BY evaluations.tokens DESC) = 1
ORDER BY runs.study, evaluations."language", runs."name", runs.run_id;
