"""Cards: the payment form, saved methods, auto top-up and the customer portal; payment intents that we start."""
