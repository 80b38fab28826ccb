"""Rust: how its functions are found, and how they are compiled and run."""
