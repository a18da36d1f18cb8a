"""``/_sandbox/*``: what a test or a demo may steer without a browser or a key. JSON in, JSON out.

One module a family of commands: ``buyers``, ``money``, ``webhooks``, ``fault_desk``, ``settings``.
"""
