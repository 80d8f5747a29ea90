"""All tests; those that draw examples do so without time limits."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The machine may have other work: how long an example takes says nothing of the code.
settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci", settings.get_profile("here"), derandomize=True, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "here")
