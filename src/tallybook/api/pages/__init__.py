"""The plain pages: sign in, buy credits, pay what was missing, come back from Stripe. Server-rendered, no script."""

from fastapi import APIRouter

from tallybook.api.pages import paying, routes, topping_up

router = APIRouter(include_in_schema=False)
router.include_router(routes.router)
router.include_router(paying.router)
router.include_router(topping_up.router)

__all__ = ["router"]
