"""An embedded cluster for the demonstration and the tests."""
