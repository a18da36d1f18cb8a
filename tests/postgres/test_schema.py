"""schema.sql is what the migrations add up to."""

from __future__ import annotations

from tallybook.postgres import schema


def test_schema_sql_is_what_the_migrations_make() -> None:
    written = schema.SCHEMA_FILE.read_text(encoding="utf-8")

    assert schema.generated() == written, "run: python -m tallybook.postgres.schema"


def test_only_remarks_and_settings_outside_of_functions_are_taken_out() -> None:
    body = "CREATE FUNCTION f() AS $$\n-- why\nSET x = 1;\n$$;\n"
    dump = f"-- Dumped by 18\nSET lock_timeout = 0;\n\\restrict abc\n{body}\n\n\n-- end\n"

    text = schema.normalised(dump)

    assert text.endswith(f"\n\n{body}")
    assert "Dumped" not in text
