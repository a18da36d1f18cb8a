"""Spend alerts: what to watch, and what was announced. Evaluating is set-based SQL (``evaluate_alerts_v1.sql``)."""
