"""Xonsh's programs for the contract of all languages."""

from parallel_mining.drivers.python.samples import INTEGERS, SAMPLES, STRICT_ARITY, WHOLES

__all__ = ["INTEGERS", "SAMPLES", "STRICT_ARITY", "WHOLES"]
