"""Complete bodies of API objects, field by field, as the pinned version shows them.

Fields that Stripe always sends are written out, with ``None`` where it sends null; fields that
it may leave out are left out. Source: type declarations of npm ``stripe`` 23.1 (``?:`` against
``| null``) and the response classes of PyPI ``stripe`` 16.1. Leaves storing to the callers.
"""
