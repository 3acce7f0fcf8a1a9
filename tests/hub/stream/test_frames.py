"""Bytes of the stream say what was meant, whatever is in the data."""

import re

from tests.hub.stream.conftest import Stage, entry


async def test_line_ends_in_data_cannot_forge_a_field(stage: Stage) -> None:
    ear = await (await stage.listen()).opens()
    await stage.write(entry(data=b'{"a":\r1,\n"b":\r\nevent: gap\n\nid: 7}'))
    (heard,) = await ear.hears(1)
    assert heard.name == "event.accepted"
    assert heard.data == '{"a":\n1,\n"b":\nevent: gap\n\nid: 7}'
    assert re.fullmatch(rb"(?s)id: 1\nevent: event.accepted\n(data: [^\n]*\n)+\n", ear.chunks[-1])
