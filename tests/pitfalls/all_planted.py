"""Every plant, in the order of the pitfalls."""

from __future__ import annotations

from pitfalls import charged, kept, once, paid, priced, taken_in

PLANTS = tuple(
    sorted(
        (*once.PLANTS, *paid.PLANTS, *priced.PLANTS, *charged.PLANTS, *kept.PLANTS, *taken_in.PLANTS),
        key=lambda plant: plant.pitfall,
    )
)
