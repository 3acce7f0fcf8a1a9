"""Scripts are built of what they name, and not at all when they name what is not there."""

from hashlib import sha1
from pathlib import Path

import pytest

from hub.stores.redis.client.scripts import BadScript, Scripts

LIBRARIES = {
    "key": "-- The names of keys.\nlocal key = {}\nfunction key.of(id) return KEYS[1] .. id end\nreturn key\n",
    "lane": "-- needs: key\nlocal lane = {}\nfunction lane.read(id) return key.of(id)..LIMIT end\nreturn lane\n",
    "sun": "-- needs: moon\nlocal sun = { moon.x }\nreturn sun\n",
    "moon": "-- needs: sun\nlocal moon = { sun.x }\nreturn moon\n",
    "open": "local open = {}\n",
}


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    (tmp_path / "lib").mkdir()
    for name, text in LIBRARIES.items():
        (tmp_path / "lib" / f"{name}.lua").write_text(text, encoding="utf-8")
    return Scripts(tmp_path, {"LIMIT": 10, "SHARE": 0.25, "NAMES": ["ten", "it's", "é\n"], "UNUSED": "never"})


def test_the_shebang_stays_first_and_libraries_stand_once_after_what_they_need(scripts: Scripts) -> None:
    text = "#!lua flags=allow-oom\n-- needs: lane, key\nreturn lane.read(ARGV[1]) .. key.of('')"
    script = scripts.build("read", text)
    assert script.text.startswith("#!lua flags=allow-oom\nlocal LIMIT = 10\nlocal key = (function()\n")
    assert (
        script.text.index("local key = (") < script.text.index("local lane = (") < script.text.index("return lane.read")
    )
    assert script.text.count("function key.of") == 1
    assert "UNUSED" not in script.text
    assert script.digest == sha1(script.text.encode()).hexdigest()


def test_constants_are_written_as_lua_has_them(scripts: Scripts) -> None:
    text = scripts.build("constants", "return { SHARE, NAMES }").text
    assert text == "local NAMES = { 'ten', 'it\\039s', '\\195\\169\\010' }\nlocal SHARE = 0.25\nreturn { SHARE, NAMES }"


@pytest.mark.parametrize(
    "text",
    [
        "local found = redis.call('GET', KEYS[1])\nreturn found",
        "for i, name in ipairs(ARGV) do redis.call('DEL', name .. i) end",
        "local function set(a, ...)\n  return a, { b = a, c = select('#', ...) }\nend\nreturn set(1)",
        "local text = \"it's -- unknown\" -- unknown\nreturn text .. 'a\\'unknown'..[[unknown]]",
        "local sum, count = 0x1F, 1e5\nsum, count = sum + 1, count\nreturn sum",
        "local row = { at = 1 }\nrow.at, row.left = 2, row:right()\nreturn row",
    ],
)
def test_names_that_are_made_in_a_file_are_known_in_it(scripts: Scripts, text: str) -> None:
    assert scripts.build("good", text).text == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("return tonumbr(ARGV[1])", "bad.lua: unknown names: tonumbr"),
        ("local a = 1\nb = a", "unknown names: b"),
        ("return ARGV[1]..missing", "unknown names: missing"),
        ("return { given = absent }", "unknown names: absent"),
        ("function loose() end", "unknown names: loose"),
        ("return key.of('a')", "libraries that it uses but does not need: key"),
        ("-- needs: key\nreturn 1", "libraries that it needs but does not use: key"),
        ("-- needs: key\nreturn '' -- key", "libraries that it needs but does not use: key"),
        ("-- needs: stars\nreturn stars.x", "there is no library stars"),
        ("-- needs: key\nlocal key = 1\nreturn key", "the name of a library that it needs has another meaning: key"),
        ("-- needs: sun\nreturn sun", "the libraries sun → moon → sun need each other"),
        ("-- needs: open\nreturn open", "lib/open.lua: it must end with: return open"),
    ],
)
def test_what_cannot_work_is_not_built(scripts: Scripts, text: str, complaint: str) -> None:
    with pytest.raises(BadScript, match=complaint):
        scripts.build("bad", text)
