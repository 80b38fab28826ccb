-- Sources that finished runs were trained on, one line each, and:
-- One line a finished run and language: its last validation loss there, whatever languages it was trained on.
-- Runs on parallel documents or natural language are left out: no loss is a law of those shares.
CREATE OR REPLACE VIEW mixture_portions AS
SELECT run_id, portion."key" AS source
FROM (SELECT run_id, unnest(map_entries(shares)) AS portion FROM runs WHERE status = 'finished')
WHERE portion."value" > 0;

CREATE OR REPLACE VIEW mixture_sources AS
SELECT DISTINCT source
FROM mixture_portions
WHERE run_id NOT IN (SELECT run_id FROM mixture_portions WHERE contains(source, ':'))
ORDER BY source;

CREATE OR REPLACE VIEW mixture_losses AS
SELECT
    runs.run_id,
    evaluations."language",
    runs.params_non_embedding,
    runs.params_total,
    runs.tokens,
    evaluations.bits_per_byte,
    evaluations.loss_nats,
    runs.size,
    runs.seed,
    runs.learning_rate,
    runs.flops,
    runs.tokenizer,
    runs.shares,
    -- Runs that differ by their tokens alone branch from one trunk.
    concat_ws('/', runs.shares, runs.size, runs.seed, runs.learning_rate, runs.batch_tokens) AS trunk
FROM runs
JOIN evaluations USING (run_id)
WHERE runs.status = 'finished'
    AND evaluations."language" IN (SELECT source FROM mixture_sources)
    AND runs.run_id NOT IN (SELECT run_id FROM mixture_portions WHERE contains(source, ':'))
QUALIFY row_number() OVER (PARTITION BY runs.run_id, evaluations."language" ORDER BY evaluations.step DESC) = 1
ORDER BY evaluations."language", runs.params_total, runs.tokens, runs.run_id;
