"""Entry points over HTTP: parse, call one use case, draw the answer. No rule about billing lives here."""
