"""The load on the service under test: planned before, sent in time, recorded row by row.

Nothing is imported here: the load generator must import locust, which patches the
standard library, before anything that opens sockets.
"""
