"""Python: how its functions are found, and how they are run with this interpreter's own standard library."""
