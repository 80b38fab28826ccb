"""What is a source file, and is it worth training on?

Start at `documents` (the noun), then `languages` (the only language registry), `classify` and `filters`.
`artifacts` says what a finished artifact on disk is; `contracts` checks what was written; `mistakes` is how every part
reports bad input. This package imports no other package of the project, and neither Spark, torch nor duckdb.
"""
