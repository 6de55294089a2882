"""What holds for every test: no example of Hypothesis fails because the machine was busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("beacon", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("beacon")
