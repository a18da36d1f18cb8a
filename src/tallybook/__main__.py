"""``python -m tallybook``: the same program as ``tallybook``."""

from tallybook.app import main

main()
