from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.tokens import TokenSettings, sample_ends


def test_a_sample_takes_as_much_of_every_language_as_there_is() -> None:
    lengths = {"go": np.full(100, 10), "rust": np.full(3, 10), "java": np.full(1000, 10)}
    ends = sample_ends(lengths, 1030)
    assert ends == {"go": 50, "rust": 3, "java": 50}
    assert sample_ends(lengths, 10**9) == {"go": 100, "rust": 3, "java": 1000}
    assert sample_ends(lengths, 1) == {"go": 1, "rust": 1, "java": 1}


def test_settings_refuse_what_they_cannot_do() -> None:
    for wrong in ({"vocabulary": 256}, {"vocabulary": "300"}, {"pair_style": "fancy"}, {"words": 3}):
        with pytest.raises(ValidationError):
            TokenSettings.model_validate(wrong)
