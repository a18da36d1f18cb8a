"""Tallybook: the billing back office of an AI product. Start reading in app.py; ARCHITECTURE.md is the map."""
