"""The ledger's words and recipes: what is asked of it, which accounts move, what it answers."""
