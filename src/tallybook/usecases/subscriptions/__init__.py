"""Plans: begin a subscription, follow what Stripe says of it, change it, look at it. One use case in four modules.

``opening`` begins, ``settling`` makes our books agree with Stripe and moves credits, ``changing`` asks Stripe for
another plan or an end, ``viewing`` shows.
"""
