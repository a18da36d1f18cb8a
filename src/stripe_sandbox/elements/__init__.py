"""A stand-in for Stripe.js: a script for pages, frames for card fields and 3-D Secure, and what these ask for.

The digits of a card are typed into a frame of the sandbox's own origin and go from there to the sandbox; the page never
sees them, as with Stripe. Leaves the look to ``hosted`` (templates and assets) and what happens to ``api``.
"""
