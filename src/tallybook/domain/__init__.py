"""The rules: amounts, ledger, identity, catalogue, payments. Pure: standard library only, no time, no I/O."""
