"""Compares Stripe with our books: events that never came, objects that differ. Repairs are left to whoever calls.

They are the same use cases as for webhooks, and a use case never calls another.
"""
