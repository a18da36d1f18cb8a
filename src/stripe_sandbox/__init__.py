"""A stateful Stripe stand-in for development, tests and demos.

Start it with ``python -m stripe_sandbox --port 12111 --store FILE`` and point the official SDK at
it: ``stripe.StripeClient("sk_test_x", base_addresses={"api": "http://127.0.0.1:12111"})``.
It keeps its own books in one SQLite file, speaks the REST API of one Stripe version, shows a
hosted checkout page and delivers signed webhooks. It imports nothing of the product, and the
product knows it only as another base address.

How a call flows: ``app`` receives it, ``api.dispatch`` checks key, version, parameters (against
the types in ``spec``) and idempotency, a handler in ``api`` works on ``store`` inside one
transaction, the engines ``payment``, ``checkout`` and ``invoicing`` move objects from state to
state, ``events`` writes what happened, ``delivery`` carries it to webhook endpoints.
``hosted`` is what a buyer sees, ``control`` is what a test may steer.

It leaves to later parts: subscriptions, disputes, the customer portal, test clocks, faults.
"""
