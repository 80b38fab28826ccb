"""JavaScript: how its functions are found, and how they are run by node."""
