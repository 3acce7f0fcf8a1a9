"""Whatever text is stored comes back exactly."""

import asyncio
import json
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.stores import open_store
from tests.clock import ManualClock
from tests.hub.stores.samples import TENANT, batch, claim, entry, event

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.tuples(JSON, st.booleans(), TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2)), min_size=1))
def test_data_and_attributes_come_back_byte_for_byte(
    given_: list[tuple[object, bool, str, str, str, dict[str, str]]],
) -> None:
    asyncio.run(round_trip(given_))


async def round_trip(given_: list[tuple[object, bool, str, str, str, dict[str, str]]]) -> None:
    new = [
        event(
            data=json.dumps(data, ensure_ascii=ascii_).encode(),
            type=type_,
            subject=subject,
            source=source,
            source_id=str(n),
            extensions=extensions,
        )
        for n, (data, ascii_, type_, subject, source, extensions) in enumerate(given_)
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(f"sqlite:///{folder}/hub.db", ManualClock()) as store:
            await store.intake.accept(batch(*(entry(e, ["sub_1"], index=n) for n, e in enumerate(new))))
            assert [claimed.event for claimed in await claim(store)] == new
            for one in new:
                assert await store.archive.event(TENANT, one.id) == one
            again = await store.intake.accept(
                batch(*(entry(e.model_copy(update={"id": "evt_x"}), index=n) for n, e in enumerate(new)))
            )
            assert [verdict.id for verdict in again.verdicts] == [one.id for one in new]
