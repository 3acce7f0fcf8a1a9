"""The filters of templates: those of Liquid that are safe, and the hub's own for money, dates and links."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from html import escape as escape_html
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
from liquid import Undefined
from liquid.builtin.filters import array, math, misc, string
from liquid.exceptions import ResourceLimitError

MAX_VALUE = 524_288
"""Characters that a text made by a filter may have."""
MAX_ELEMENTS = 50_000
"""Elements that an array made by a filter may have."""

_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_TAG = re.compile(r"<[^<>]*>")
_SPACE = "\N{NO-BREAK SPACE}"
_WORD = re.compile(r"\w+")
_MINOR_UNITS = {
    **dict.fromkeys(_WORD.findall("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"), 0),
    **dict.fromkeys(_WORD.findall("BHD IQD JOD KWD LYD OMR TND"), 3),
}
"""The currencies of ISO 4217 that do not have two decimals."""
_MONTHS = _WORD.findall("January February March April May June July August September October November December")
_DAYS = _WORD.findall("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")


class Escaped(str):
    """Text that is escaped already, and must not be escaped again."""

    __slots__ = ()


def text_of(value: object) -> str:
    """A value as text: empty for null and missing values, JSON for objects, the joined elements for arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    if isinstance(value, list | tuple):
        return "".join(map(text_of, value))
    return "" if value is None else str(value)


def money(amount: object, currency: object = "") -> str:
    """`"1299.5" | money: "EUR"` is `EUR 1 299.50`, with no-break spaces; other text stays as it is."""
    text = str(amount)
    if isinstance(amount, bool) or not _DECIMAL.fullmatch(text):
        return "" if isinstance(amount, Undefined) or amount is None else text
    code = currency.upper() if isinstance(currency, str) else ""
    value = Decimal(text)
    least = _MINOR_UNITS.get(code, 2)
    # Digits beyond the usual number are kept: the hub does not round amounts.
    places = max(least, -int(value.normalize().as_tuple().exponent))
    number = f"{value:,.{places}f}".replace(",", _SPACE)
    return f"{code}{_SPACE}{number}" if code else number


def date(value: object, form: object = None) -> str:
    """An RFC 3339 instant (shown in UTC) or a date, by strftime directives in English; other text stays as it is."""
    text = "" if value is None else str(value)
    if not _DATE.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text.upper())
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return text
    usual = "%Y-%m-%d" if len(text) == 10 else "%Y-%m-%d %H:%M %Z"
    directives = form if isinstance(form, str) and form else usual
    return re.sub(
        r"%(-?)([A-Za-z%])", lambda match: _directive(moment, match[2], padded=not match[1]), directives
    ).rstrip()


# Not `strftime`, which names months and days in the language of the process and is not the same on every platform.
def _directive(moment: datetime, letter: str, *, padded: bool) -> str:
    make = _DIRECTIVES.get(letter)
    if make is None:
        return "%" + letter
    made = make(moment)
    return made if padded or not made.isdigit() else made.lstrip("0") or "0"


_DIRECTIVES: Mapping[str, Callable[[datetime], str]] = {
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "d": lambda at: f"{at.day:02}",
    "e": lambda at: f"{at.day}",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
    "H": lambda at: f"{at.hour:02}",
    "I": lambda at: f"{(at.hour - 1) % 12 + 1:02}",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "B": lambda at: _MONTHS[at.month - 1],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "a": lambda at: _DAYS[at.weekday()][:3],
    "F": lambda at: at.date().isoformat(),
    "T": lambda at: at.time().isoformat("seconds"),
    "Z": lambda at: "UTC" if at.tzinfo else "",
    "z": lambda at: "+0000" if at.tzinfo else "",
    "s": lambda at: str(int(at.timestamp())) if at.tzinfo else "",
    "%": lambda _: "%",
}


def web_url(value: object) -> str:
    """An http or https address that is safe in an attribute and in a Slack link; empty for any other value."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.match(r"https?://[^/\s]", text, re.IGNORECASE) or len(text) > 2_048:
        return ""
    return quote(text, safe="!#$%&'()*+,/:;=?@[]~-._")


def json(value: object, indent: object = None) -> str:
    """The value as JSON; with an `indent` above 0 on several lines."""
    option = orjson.OPT_INDENT_2 if isinstance(indent, int) and indent > 0 else 0
    return orjson.dumps(None if isinstance(value, Undefined) else value, option=option).decode()


def newline_to_br(value: object) -> Escaped:
    """For HTML: the text, escaped, with a `<br>` at the end of each line."""
    text = value if isinstance(value, Escaped) else escape_html(text_of(value))
    return Escaped(re.sub(r"\r?\n", "<br>\n", text))


def escape(value: object) -> Escaped:
    """For HTML, where values are escaped in any case: text is not escaped twice."""
    return value if isinstance(value, Escaped) else Escaped(escape_html(text_of(value)))


def strip_html(value: object) -> str:
    return _TAG.sub("", text_of(value))


def replace(value: object, old: object, new: object = "") -> str:
    text, wanted, instead = text_of(value), text_of(old), text_of(new)
    # Computed before it is done, because a short template can ask for a result of any size.
    growth = text.count(wanted) * (len(instead) - len(wanted))
    if len(text) + growth > MAX_VALUE:
        raise ResourceLimitError("makes too large a value", token=None)
    return text.replace(wanted, instead)


def join(value: object, separator: object = " ") -> str:
    parts = [text_of(part) for part in value] if isinstance(value, list | tuple) else [text_of(value)]
    between = text_of(separator)
    if sum(map(len, parts)) + len(between) * len(parts) > MAX_VALUE:
        raise ResourceLimitError("makes too large a value", token=None)
    return between.join(parts)


def uniq(value: object, key: object = None) -> list[object]:
    """The elements without those that equal an earlier one as JSON; with `key`, that member of them is compared."""
    kept: dict[tuple[type, object], object] = {}
    for item in value if isinstance(value, list | tuple) else ():
        compared = item.get(key) if isinstance(key, str) and isinstance(item, dict) else item
        identity = orjson.dumps(compared) if isinstance(compared, dict | list | tuple) else compared
        # With the type, because Python says that 1 equals true.
        kept.setdefault((type(compared), identity), item)
    return list(kept.values())


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": math.abs_,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "ceil": math.ceil,
    "divided_by": math.divided_by,
    "floor": math.floor,
    "minus": math.minus,
    "modulo": math.modulo,
    "plus": math.plus,
    "round": math.round_,
    "times": math.times,
    "append": string.append,
    "base64_decode": string.base64_decode,
    "base64_encode": string.base64_encode,
    "capitalize": string.capitalize,
    "downcase": string.downcase,
    "escape": escape,
    "lstrip": string.lstrip,
    "newline_to_br": newline_to_br,
    "prepend": string.prepend,
    "remove": string.remove,
    "remove_first": string.remove_first,
    "remove_last": string.remove_last,
    "replace": replace,
    "replace_first": string.replace_first,
    "replace_last": string.replace_last,
    "rstrip": string.rstrip,
    "slice": string.slice_,
    "split": string.split,
    "squish": string.squish,
    "strip": string.strip,
    "strip_html": strip_html,
    "strip_newlines": string.strip_newlines,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "upcase": string.upcase,
    "url_decode": string.url_decode,
    "url_encode": string.url_encode,
    "compact": array.compact,
    "concat": array.concat,
    "find": array.find,
    "find_index": array.find_index,
    "first": array.first,
    "has": array.has,
    "join": join,
    "last": array.last,
    "map": array.map_,
    "reject": array.reject,
    "reverse": array.reverse,
    "size": misc.size,
    "sort": array.sort,
    "sort_natural": array.sort_natural,
    "sum": array.sum_,
    "uniq": uniq,
    "where": array.where,
    "date": date,
    "default": misc.default,
    "json": json,
    "money": money,
    "web_url": web_url,
}


def _text_only(filter: Callable[[object], Escaped]) -> Callable[[object], str]:
    # HTML that is put into a text of another kind has to be escaped for that.
    return lambda value: "".join(filter(value))


def _ready(filter: Callable[..., str]) -> Callable[..., Escaped]:
    return lambda *values: Escaped(filter(*values))


_HTML_AS_TEXT = {"escape": _text_only(escape), "newline_to_br": _text_only(newline_to_br)}
OWN_FILTERS: Mapping[str | None, Mapping[str, Callable[..., Any]]] = {
    "json": {**_HTML_AS_TEXT, "json": _ready(json)},
    "url": {**_HTML_AS_TEXT, "url_encode": _ready(lambda value: quote_plus(text_of(value)))},
}
"""The filters that differ where values are escaped in this way, because their results are or are not escaped so."""
