"""tallybook demo: everything on this machine, with no account anywhere; walks the main job, then keeps serving."""

from tallybook.cli.demo.command import demo

__all__ = ["demo"]
