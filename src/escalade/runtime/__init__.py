"""Where processes run: launchers, leases, ledgers, ports, cores and the tools of a node.

Nothing is imported here, since the holder and the keeper of a run start through
this package and should be up within a tenth of a second.
"""
