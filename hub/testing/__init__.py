"""What the hub promises and expects, as tests for stores and channels of other packages, with what these tests need.

Install the extra `testing`. `hub.testing.stores` has the conformance suite of stores, `hub.testing.channels` the
contract of channels. The hub itself never imports this package; see docs/decisions/0017.
"""

import pytest

# Before these modules are imported, so that a failed assertion of theirs shows its values.
pytest.register_assert_rewrite("hub.testing.channels", "hub.testing.stores")
