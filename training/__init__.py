"""Shards in, run records out.

Start at `allocation` and `runs` (the nouns), then `order` (which sequence comes next), `recipe` (how a run is trained),
`sweep` (many of them) and `score` (what a model writes). Only `recipe` and `generation`, and what they load, import
torch; the nouns do not.
"""
