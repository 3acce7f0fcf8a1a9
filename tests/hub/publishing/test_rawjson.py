"""Reading bodies strictly, and splitting batches without reading them."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest, Invalid, TooLarge
from hub.publishing.rawjson import MAX_DEPTH, _batch, _split_unread, parse, parse_object, split_array, split_lines


@pytest.mark.parametrize(
    "raw",
    [b"{", b"nope", b"{'a':1}", b'{"a":1,}', b"[1] 2", b"NaN", b"[Infinity]", b'"\xff"', b'"\\ud800"', b"1e999"],
)
def test_what_is_no_json_is_refused_without_repeating_it(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(raw)
    assert caught.value.detail.startswith("Not valid JSON (line ")


@pytest.mark.parametrize("raw", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_called_so(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="The body is empty"):
        parse(raw)


def test_the_place_of_a_mistake_is_told() -> None:
    with pytest.raises(BadRequest, match="line 2, column 6"):
        parse(b'{"a": 1,\n"b": secret}')


def test_nesting_is_limited_but_many_brackets_are_not() -> None:
    parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    parse(b"[" + b",".join([b"{}"] * 1_000) + b"]")
    parse(b'"' + b"[" * 1_000 + b'"')
    for deep in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(BadRequest):
            parse(b'{"a":' * deep + b"1" + b"}" * deep)


def test_members_are_kept_byte_for_byte() -> None:
    members, slices = parse_object(b'{"n": 1.50 , "t": {"a" : [1, 2e2]},"\\u0064ata":"\\u00e9"}')
    assert bytes(slices["n"]) == b"1.50"
    assert bytes(slices["t"]) == b'{"a" : [1, 2e2]}'
    assert members["data"] == "é"
    assert bytes(slices["data"]) == b'"\\u00e9"'


def test_of_equal_names_the_last_counts_in_both_views() -> None:
    members, slices = parse_object(b'{"a": 1, "a": 2, "\\u0061": 3}')
    assert (members["a"], bytes(slices["a"])) == (3, b"3")


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b'"x"'])
def test_an_event_must_be_an_object(raw: bytes) -> None:
    with pytest.raises(Invalid):
        parse_object(raw)


def test_an_array_is_split_and_its_elements_are_not_judged() -> None:
    assert split_array(b' [ {"a" : 1} , null, "x", [1, {}], 2 ] ', 10) == [
        b'{"a" : 1}',
        b"null",
        b'"x"',
        b"[1, {}]",
        b"2",
    ]


NO_ARRAYS = [
    *(b"", b"{}", b"[1", b"[1,]", b"[1] 2", b"[" * 5_000, b"[]", b" [ ] ", b"[,1]", b"[1,,2]", b"[1]]", b'["a]', b"]["),
    *(b"[1}", b"[1] x", b"x [1]", b"1]", b'["\\"]', b"\xef\xbb\xbf", b"[NaN", b"[{]}"),
    *(b"[nope]", b"[{'a':1}]", b"[1 2]", b"[\xff]", b"[1\\]", b"[NaN,]", b"[1,{]", b"[NaN] x"),
]


@pytest.mark.parametrize("body", NO_ARRAYS)
def test_what_is_no_array_or_an_empty_one_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        split_array(body, 10)


UNREADABLE = [
    *(b'"\\ud800"', b'{"a":"\\udfff\\u0041"}', b'"\xff"', b'{"a":NaN}', b"-Infinity", b'"\x00"', b'"a\nb"', b'"\\x"'),
    *(b'"\\\\\\x"', b'{"a":' * 300 + b"1" + b"}" * 300, b'["\xed\xa0\x80", "\\ud800\\"]"]'),
]


@pytest.mark.parametrize("bad", UNREADABLE)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_element_that_cannot_be_read_is_split_off_and_refused_alone(bad: bytes, place: int) -> None:
    good = b'{"a\\"[,]": [1, {"b": "\\\\"}], "c": "\xc3\xa9"}'
    elements = [good, good, good]
    elements[place] = bad
    assert split_array(b" [" + b" ,\n".join(elements) + b" ] ", 3) == elements
    with pytest.raises(TooLarge):
        split_array(b"[" + b",".join(elements) + b"]", 2)
    with pytest.raises(BadRequest):
        parse(bad)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[]{},:"\\\\é a', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{},"\\\\', max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(VALUES, min_size=1, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_both_ways_to_split_an_array_agree(values: list[object], ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode()
    assert _split_unread(body, _batch(6)) == split_array(body, 5)


MARK = b"\xef\xbb\xbf"


def test_a_byte_order_mark_before_a_body_is_no_part_of_it() -> None:
    assert parse(MARK + b"[1]") == [1]
    members, slices = parse_object(MARK + b'{"a": 1.0}')
    assert (members, bytes(slices["a"])) == ({"a": 1.0}, b"1.0")
    assert split_array(MARK + b' [1, "\xff"]', 2) == [b"1", b'"\xff"']
    assert split_lines(MARK + b"{}\r\n" + MARK + b"1\n", 2) == [b"{}\r", b"1"]


@pytest.mark.parametrize("raw", [MARK, MARK + MARK + b"1", b"1" + MARK, b" " + MARK + b"1"])
def test_a_byte_order_mark_at_another_place_is_no_json(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(raw)


def test_batches_are_limited() -> None:
    assert len(split_array(b"[" + b",".join([b"{}"] * 10) + b"]", 10)) == 10
    with pytest.raises(TooLarge):
        split_array(b"[" + b",".join([b"{}"] * 11) + b"]", 10)
    assert len(split_lines(b"{}\n" * 10, 10)) == 10
    with pytest.raises(TooLarge):
        split_lines(b"{}\n" * 11, 10)


def test_an_array_of_millions_is_not_held_in_memory() -> None:
    body = b"[" + b",".join([b"0"] * 2_000_000) + b"]"
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            split_array(body, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_lines_are_split_and_blank_ones_left_out() -> None:
    assert split_lines(b'\n {"a": 1}\r\n\r\n   \n{bad\n{"b": "\\n"}', 10) == [b'{"a": 1}\r', b"{bad", b'{"b": "\\n"}']
    with pytest.raises(BadRequest):
        split_lines(b"\n" * 1_000_000, 10)


@given(st.lists(st.sampled_from([b'{"a":"\\""}', b"1", b"null", b'"[,]"', b'[["]"],{}]']), min_size=1, max_size=6))
def test_what_was_joined_is_split_again(elements: list[bytes]) -> None:
    assert split_array(b"[" + b" , ".join(elements) + b"]", 6) == elements
    assert split_lines(b"\n".join(elements), 6) == elements
