"""Does a resource conform to a profile? A second pass, which looks at what the profile adds to the base definition.

https://hl7.org/fhir/R4/profiling.html. Malformed values are findings of the first pass, and passed over here.
"""

from __future__ import annotations

from fhir_server.validation.profiles.extensions import check_extensions
from fhir_server.validation.profiles.profile import Profile, compile_profile
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.slots import ProfileError

__all__ = ["Profile", "ProfileError", "Run", "check_extensions", "compile_profile"]
