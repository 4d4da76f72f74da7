"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# Tests run side by side on few cores: how long an example takes says nothing.
settings.register_profile("side by side", deadline=None)
settings.load_profile("side by side")
