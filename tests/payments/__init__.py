"""Payments, end to end: catalogue, checkout, webhooks, worker, credits; over a real sandbox."""
