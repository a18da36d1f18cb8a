"""Failing open: spends taken from a lease while the service is away, kept on disk, settled when it is back.

``ladder`` says which request comes next, ``spending``, ``settling`` and ``keeping`` what happens in which order,
``store`` and its tables what is on disk, ``senders`` who waits. The whole of it is told in ``docs/sdk.md``.
"""
