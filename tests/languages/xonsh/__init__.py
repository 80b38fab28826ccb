"""Xonsh, a shell whose language is a superset of Python: read and run as Python, which needs no further toolchain."""
