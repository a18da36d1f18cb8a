"""The REST API: one module for each family of objects, found through ``routes``.

``dispatch`` turns HTTP into a `Call` and back; everything about money and state is in the
engines one floor up.
"""
