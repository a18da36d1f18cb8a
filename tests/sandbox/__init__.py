"""Tests of the Stripe sandbox: a real process, the official SDK, real HTTP, a real browser."""
