"""Works on what others left to do later: stored Stripe events, and spend alerts."""
