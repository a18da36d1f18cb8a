"""The only cryptography: sealing, passwords, API keys, session tokens and database password verifiers."""
