"""What fails says what was compared."""

import pytest

pytest.register_assert_rewrite("tests.crash.runs", "tests.crash.machine", "tests.integration.cluster", "tests.integration.mail")
