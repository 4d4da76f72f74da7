"""Services under test: how each kind is described, started, awaited and measured."""
