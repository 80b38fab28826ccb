"""Which pairs of functions in different languages do the same thing, proved by running them?

Start at `pairs` (the nouns), then `mine` (corpus to proved pairs) and `validate` (given pairs to verdicts).
Untrusted code runs in `sandbox` and nowhere else.
"""
