"""Ids say what they are of, sort by the time they were made, and never come twice."""

import re
from itertools import pairwise

import pytest

from hub.ids import Prefix, new_id


@pytest.mark.parametrize("prefix", ["evt", "dlv", "key"])
def test_an_id_has_its_prefix_and_the_digits_of_a_uuid_of_version_7(prefix: Prefix) -> None:
    assert re.fullmatch(rf"{prefix}_[0-9a-f]{{12}}7[0-9a-f]{{3}}[89ab][0-9a-f]{{15}}", new_id(prefix))


def test_later_ids_sort_after_earlier_ones() -> None:
    ids = [new_id("evt") for _ in range(1_000)]
    assert all(earlier < later for earlier, later in pairwise(ids))
