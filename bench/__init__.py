"""``make bench``: how fast the ledger is beside simpler ways, on this machine, in one run."""
