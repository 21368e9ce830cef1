"""The small model and the phantom of the API's tests."""

from tests.service.api.conftest import identity_model, phantom_png

__all__ = ["identity_model", "phantom_png"]
