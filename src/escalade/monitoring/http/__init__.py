"""The monitoring service over HTTP: the application, and the Python client that goes with it."""
