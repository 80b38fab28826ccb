-- One line a finished run: its last validation loss on the only source that it was trained on.
-- Runs on mixtures are left out: a law of one language's own tokens says nothing about them.
CREATE OR REPLACE VIEW final_losses AS
SELECT
    runs.run_id,
    runs.trained_on AS "language",
    runs.params_non_embedding,
    runs.params_total,
    runs.tokens,
    runs.repeats[runs.trained_on] AS epochs,
    evaluations.bits_per_byte,
    evaluations.loss_nats,
    runs.size,
    runs.seed,
    runs.learning_rate,
    runs.flops,
    runs.tokenizer,
    -- Runs that differ by their tokens alone branch from one trunk.
    concat_ws('/', runs.trained_on, runs.size, runs.seed, runs.learning_rate, runs.batch_tokens) AS trunk
FROM runs
JOIN evaluations ON evaluations.run_id = runs.run_id AND evaluations."language" = runs.trained_on
WHERE runs.status = 'finished' AND runs.trained_on <> 'mixture'
QUALIFY row_number() OVER (PARTITION BY runs.run_id ORDER BY evaluations.step DESC) = 1
ORDER BY runs.trained_on, runs.params_total, runs.tokens, runs.run_id;
