"""The routes of the five source documents: thin translations onto the same use cases as the native API."""
