"""Checks of a subscription's template before it is stored. Everything here raises a `LiquidError`."""

import re
from collections.abc import Iterable

from liquid import Expression, Node, RenderContext, Token
from liquid.builtin.expressions import FilteredExpression, LoopExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidSyntaxError, ResourceLimitError, UnknownFilterError
from liquid.token import TOKEN_CONTENT

from hub.rendering.liquid_filters import FILTERS

MAX_TAGS = 1_000
MAX_TAG_LENGTH = 4_096
MAX_MARKUP = 16_384
"""Characters in all tags of a template together; the cost of parsing it grows with these."""

_OPENING = re.compile(r"\{\{|\{%")
_BLANKS = re.compile(r"\s{65}")
_END_OF_RAW = re.compile(r"\{%-?\s{0,64}endraw\s{0,64}-?%\}")


def check_markup(source: str) -> None:
    """Refuse what takes Liquid's lexer quadratic time: tags that are not closed, and long runs of blanks."""
    count = total = position = 0
    while opening := _OPENING.search(source, position):
        start = opening.end()
        end = source.find("}}" if opening[0] == "{{" else "%}", start)
        inner = source[start:end].strip("- \n")
        if end < 0 or end - start > MAX_TAG_LENGTH or _BLANKS.search(source, start, end) or inner == "doc":
            raise LiquidSyntaxError("a tag is not closed, or too long", token=_token_at(source, opening.start()))
        if inner == "raw":
            closing = _END_OF_RAW.search(source, end)
            if closing is None:
                raise LiquidSyntaxError("raw is not closed", token=_token_at(source, opening.start()))
            end = closing.end() - 2
        else:
            total += end - start
        count += 1
        position = end + 2
    if count > MAX_TAGS or total > MAX_MARKUP:
        raise ResourceLimitError(f"has more than {MAX_TAGS} tags, or {MAX_MARKUP} characters in tags", token=None)


def _token_at(source: str, index: int) -> Token:
    return Token(TOKEN_CONTENT, "", index, source)


def check_nodes(nodes: Iterable[Node], context: RenderContext) -> None:
    """Refuse filters that do not exist, which Liquid notices only when it renders, and ranges outside of `for`.

    A range is one short tag that makes a list of any length; in `for` it is charged before it runs.
    """
    for node in nodes:
        for expression in node.expressions():
            if isinstance(expression, LoopExpression) and isinstance(expression.iterable, RangeLiteral):
                _check_expressions(part for part in expression.children() if part is not expression.iterable)
                _check_expressions(expression.iterable.children())
            else:
                _check_expressions((expression,))
        check_nodes(node.children(context), context)


def _check_expressions(expressions: Iterable[Expression]) -> None:
    for expression in expressions:
        if isinstance(expression, RangeLiteral):
            raise LiquidSyntaxError("ranges are allowed in for only", token=expression.token)
        for used in (isinstance(expression, FilteredExpression) and expression.filters) or ():
            if used.name not in FILTERS:
                raise UnknownFilterError("unknown filter", token=used.token)
        _check_expressions(expression.children())
