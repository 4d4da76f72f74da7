"""The multi-node GPU profiler: a head that stores, agents on nodes that send, sessions as windows."""
