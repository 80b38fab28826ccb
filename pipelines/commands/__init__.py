"""One module a verb: each a thin face on the function of the same name."""
