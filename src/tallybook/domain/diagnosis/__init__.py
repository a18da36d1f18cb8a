"""What tallybook doctor checks, as far as it is rules."""
