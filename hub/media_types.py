"""The media types that the hub reads and writes, and how to read one from a header."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS_BATCH = "application/cloudevents-batch+json"


def media_type(content_type: str | None) -> str:
    """The type and subtype of a `Content-Type`, in lower case and without parameters; empty for none
    (RFC 9110, section 8.3.1)."""
    return (content_type or "").partition(";")[0].strip().lower()
