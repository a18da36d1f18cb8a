"""Random lives of customers at Stripe, and the credits that must be left of them."""
