"""The native API: one noun a module."""
