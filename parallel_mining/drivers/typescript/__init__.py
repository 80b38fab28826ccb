"""TypeScript: how its functions are found, and how they are run by node, which strips the types."""
