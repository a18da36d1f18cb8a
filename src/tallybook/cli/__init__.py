"""The command line ``tallybook``: each command parses, calls one use case and draws the answer."""
