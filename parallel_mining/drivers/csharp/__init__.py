"""C#: how its methods are found, and how they are compiled and run."""
