"""The conformance suite of `hub.testing.stores` on every store; a new store is one more address in `conftest`."""
