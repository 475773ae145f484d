"""What the tests of the explainer share."""

from __future__ import annotations

import pytest

from detector.catalogue import Catalogue
from tests.support.crashes import shipped


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The shipped known issues and layouts."""
    return shipped()
