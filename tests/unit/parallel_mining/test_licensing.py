from __future__ import annotations

import pytest
from pydantic import ValidationError

from parallel_mining.licensing import COPYLEFT, REASON, LicencePolicy, obstacle, unusable

DEFAULT, COPYLEFT_TOO = LicencePolicy(), LicencePolicy(copyleft=True)
NAMED = LicencePolicy(together=(("MIT", "LGPL-2.1-only"),))
GPL = "GPL-3.0-only"


@pytest.mark.parametrize(
    ("left", "right", "policy", "may"),
    [
        (["MIT"], ["Apache-2.0"], DEFAULT, True),
        (["MIT", "BSD-3-Clause"], ["ISC"], DEFAULT, True),
        (["MIT OR GPL-2.0-only"], ["MIT"], DEFAULT, True),
        ([], ["MIT"], DEFAULT, False),
        (["MIT"], [], COPYLEFT_TOO, False),
        ([], [], COPYLEFT_TOO, False),
        ([GPL], [GPL], DEFAULT, False),
        ([GPL], [GPL], COPYLEFT_TOO, True),
        (["MIT", GPL], [GPL, "MIT"], COPYLEFT_TOO, True),
        ([GPL], ["GPL-2.0-only"], COPYLEFT_TOO, False),
        (["MIT"], [GPL], COPYLEFT_TOO, False),
        (["CC-BY-NC-4.0"], ["CC-BY-NC-4.0"], COPYLEFT_TOO, False),
        (["LicenseRef-Acme"], ["LicenseRef-Acme"], COPYLEFT_TOO, False),
        (["LGPL-2.1-only"], ["MIT"], NAMED, True),
        (["MIT"], ["LGPL-2.1-only"], NAMED, True),
        (["Apache-2.0"], ["LGPL-2.1-only"], NAMED, False),
        (["LGPL-2.1-only"], ["LGPL-2.1-only"], NAMED, False),
        (["MIT", "LicenseRef-no-ai"], ["MIT", "LicenseRef-no-ai"], COPYLEFT_TOO, False),
    ],
)
def test_which_licences_may_stand_together(left, right, policy, may):
    found = obstacle(left, right, policy)
    assert (found == "") == may
    assert may or found.startswith(f"{REASON}: ")
    assert bool(obstacle(right, left, policy)) == bool(found)
    # Whatever may stand in a pair is cut in the first place.
    assert not may or (unusable(left, policy), unusable(right, policy)) == ("", "")


def test_what_no_pair_can_hold_is_not_cut():
    assert unusable(["MIT"], DEFAULT) == ""
    assert unusable([], COPYLEFT_TOO) == "licence: no_license"
    assert unusable([GPL], DEFAULT) == "licence: non_permissive"
    assert unusable([GPL], COPYLEFT_TOO) == ""
    assert unusable(["LGPL-2.1-only"], NAMED) == ""
    assert unusable([GPL], NAMED) == "licence: non_permissive"
    assert unusable(["GPL-3.0-only", "LicenseRef-Commons-Clause"], COPYLEFT_TOO) == "licence: non_permissive"


def test_copyleft_is_what_asks_for_itself_and_allows_any_use():
    assert {"AGPL-3.0-or-later", "LGPL-2.1-only", "MPL-2.0", "EPL-2.0", "CC-BY-SA-4.0", "LicenseRef-GPL"} <= COPYLEFT
    assert not COPYLEFT & {"CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "BUSL-1.1", "SSPL-1.0", "JSON", "LicenseRef-proprietary"}


@pytest.mark.parametrize("wrong", [("MIT", "GNU"), ("MIT", ""), ("MIT", "LicenseRef-no-ai")])
def test_a_policy_names_licences_that_are_known(wrong):
    with pytest.raises(ValidationError, match=r"SPDX identifier|takes permissions back"):
        LicencePolicy(together=(wrong,))
