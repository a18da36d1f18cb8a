"""Pages for people under ``/_sandbox/``: objects, events and deliveries to look at, and buttons for the desk.

``looking`` only reads; ``acting`` takes forms. Rendered here, without scripts.
"""
