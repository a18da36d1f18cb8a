"""The engines of recurring billing: subscriptions, their invoices, collecting and dunning.

From the bottom up: ``periods``, ``pricing``, ``discounts``, ``totals``, ``lines``; then ``invoices``, ``standing``
and ``collect``; then ``proration``, ``subscriptions``, ``renewing``, ``changing``; ``life`` on top rings the alarms.
Every function works inside the caller's transaction. Leaves HTTP to ``api`` and the buyer's page to ``checkout``.
"""
