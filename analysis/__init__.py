"""What do the runs say, how sure is it, and what next?

Start at `laws` (the registry), then `fit`, `allocate` and `report`. duckdb and scipy.optimize are imported here only.
"""
