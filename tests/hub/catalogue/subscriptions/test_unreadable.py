"""A target whose secrets are lost shows what is left of it, and takes a patch that gives every secret again."""

import orjson
import pytest

from hub.catalogue.subscriptions.unreadable import UnreadableTarget
from hub.errors import Invalid

DOCUMENT = {
    "plain": {"url": "https://example.com", "secret": None, "headers": {"X-Key": None}},
    "sealed": {
        orjson.dumps(path).decode(): "v1:…"
        for path in (["secret"], ["headers", "X-Key"], ["previous_secrets", 0, "secret"])
    },
}


def test_what_is_no_secret_is_still_there() -> None:
    target = UnreadableTarget.of(DOCUMENT)
    assert target.model_dump(exclude_none=True) == {"url": "https://example.com", "headers": {}}
    assert target.document == DOCUMENT
    assert target.missing == ["/target/secret", "/target/headers/X-Key"]


@pytest.mark.parametrize(
    ("patch", "absent"),
    [
        ({}, ["/target/secret", "/target/headers/X-Key"]),
        ({"secret": "whsec_x"}, ["/target/headers/X-Key"]),
        ({"secret": "whsec_x", "headers": {}}, ["/target/headers/X-Key"]),
        ({"secret": "whsec_x", "headers": {"X-Key": None}}, []),
        ({"secret": None, "headers": None}, []),
    ],
)
def test_every_secret_has_to_be_given_again(patch: object, absent: list[str]) -> None:
    target = UnreadableTarget.of(DOCUMENT)
    if not absent:
        return target.refuse_without(patch)
    with pytest.raises(Invalid) as refused:
        target.refuse_without(patch)
    assert [fault.pointer for fault in refused.value.errors] == absent
    return None
