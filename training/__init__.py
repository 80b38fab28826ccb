"""Shards in, run records out.

Start at `allocation` and `runs` (the nouns), then `order` (which sequence comes next) and `recipe` (how a run is
trained). Only `recipe` and what it loads imports torch; the nouns do not.
"""
