"""What a payment processor reports, in our words, and what a checkout goes through."""
