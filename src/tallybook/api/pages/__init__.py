"""The plain pages: sign in, buy credits, come back from Stripe. Server-rendered, no script at all."""

from tallybook.api.pages.routes import router

__all__ = ["router"]
