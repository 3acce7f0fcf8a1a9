"""The answer kept with a key comes back, also with members that a newer version has added."""

import orjson

from hub.stores.base import ItemResult
from hub.stores.kept_answers import results, written

VERDICTS = [ItemResult(0, "accepted", "evt_1"), ItemResult(1, "rejected", None, {"status": 422})]


def test_an_answer_comes_back_as_it_was_written() -> None:
    assert results(written(VERDICTS)) == VERDICTS


def test_what_a_newer_version_added_to_a_verdict_is_passed_over() -> None:
    newer = orjson.dumps([[*verdict, "eu"] for verdict in orjson.loads(written(VERDICTS))]).decode()
    assert results(newer) == VERDICTS
