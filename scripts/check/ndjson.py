"""Tells schemathesis how JSON Lines are sent (scripts/check/clients.py): as the text that they are."""

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
