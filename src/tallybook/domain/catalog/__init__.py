"""What can be bought: packages, packs and plans, read from one reviewed file."""
