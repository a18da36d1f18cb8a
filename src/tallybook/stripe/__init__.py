"""The only way to Stripe: calls out, and the proof that a webhook came from there."""
