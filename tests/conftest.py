"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says more of what else runs beside it.
settings.register_profile("polymix", deadline=None)
settings.load_profile("polymix")
