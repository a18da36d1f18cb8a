"""Plans: begin a subscription, follow what Stripe says of it, change it, look at it. One use case in a few modules.

``opening`` and ``beginning`` begin, ``settling`` makes our books agree with Stripe and moves credits, ``changing`` and
``plans`` ask Stripe for an end or another plan, ``viewing`` shows.
"""
