import pytest

pytest.register_assert_rewrite("tests.integration.cluster", "tests.integration.mail")
