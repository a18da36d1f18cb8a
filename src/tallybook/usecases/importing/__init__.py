"""Imports the customers of a Stripe account and what they paid; subscriptions are settled by whoever calls."""
