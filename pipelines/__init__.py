"""Everything the other packages do, in order and at scale.

Start at `turn` (one trip round the loop) and `study` (all that defines an experiment); `cli` is the command line.
"""
