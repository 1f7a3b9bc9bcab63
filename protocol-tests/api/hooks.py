"""Teaches schemathesis the media type of streams: a text is sent as it is, all else as one line. And
that a feed of events ends only if it is asked to."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="replace")


@schemathesis.hook
def before_call(_context, case, _kwargs):
    if case.path == "/admin/v1/events":
        case.query = {**(case.query or {}), "follow": "false"}
