"""The report: one self-contained HTML page of a turn, in which any number can be traced.

Start at `report`, or at `figures` in a notebook. `reading` finds the turn and runs the SQL of
`analysis/sql/report_*.sql`; a module for each section turns rows into tables and charts; `page` puts them together.
duckdb and jinja2 are imported by those modules, which this one imports.
"""

from analysis.report.figures import Figure, figures
from analysis.report.page import report

__all__ = ["Figure", "figures", "report"]
