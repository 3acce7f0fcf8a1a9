"""Python files as data: their imports, functions, comments and the names that they define."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

DIRECTIVE = re.compile(
    r"#\s*(?:(?:ruff|flake8):\s*)?noqa\b(?::\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+\b)*)?"
    r"|#\s*(?:type|pyright):\s*ignore\b(?:\[[^\]]*\])?"
    r"|#\s*mypy:\s*[\w-]+(?:\s*=\s*\S+)?"
    r"|#\s*pragma:\s*no\s+(?:cover|branch)\b"
)
"""What takes a place out of a lint; several may share one comment."""
_WORD = re.compile(r"[^\W\d_]{3}")


class Name(NamedTuple):
    """A name that a file defines. `kind` is `class`, `function`, `attribute` or `variable`."""

    line: int
    kind: str
    text: str


def is_reason(text: str) -> bool:
    """Whether a comment says something beside its directives."""
    return _WORD.search(DIRECTIVE.sub("", text)) is not None


class Source:
    """One file, read and parsed when first asked."""

    def __init__(self, root: Path, path: Path) -> None:
        self.place = path.relative_to(root).as_posix()
        parts = path.relative_to(root).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.module = ".".join(parts[:-1] if self.is_package else parts)
        self._text = path.read_text()
        self.lines = self._text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self._text, self.place)

    @cached_property
    def comments(self) -> Mapping[int, str]:
        """The comments by line."""
        tokens = tokenize.generate_tokens(io.StringIO(self._text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    def function_lengths(self) -> Iterator[int]:
        """Lines of each function from `def` to its end."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of all that is imported; `from a import b` gives `a.b`, whether `b` is a module or not."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)

    def _base(self, node: ast.ImportFrom) -> str:
        """What `from … import` names, with leading dots resolved."""
        if not node.level:
            return node.module or ""
        parts = self.module.split(".")
        kept = parts[: len(parts) - node.level + (1 if self.is_package else 0)]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def exceptions(self) -> Iterator[tuple[int, bool]]:
        """Line of each exception from a lint, and whether its comment, or the line above as a comment, tells why."""
        for line, comment in self.comments.items():
            for _ in DIRECTIVE.finditer(comment):
                yield line, is_reason(comment) or self._is_reason_above(line)

    def _is_reason_above(self, line: int) -> bool:
        return line > 1 and self.lines[line - 2].lstrip().startswith("#") and is_reason(self.comments[line - 1])

    def names(self) -> Iterator[Name]:
        """The names that are defined here, not those that are used."""
        for node in ast.walk(self.tree):
            yield from _defined(node)


def _defined(node: ast.AST) -> Iterable[Name]:
    """What one node defines. A field of a class is an attribute, and like any name that is set also a variable."""
    match node:
        case ast.Module():
            return _fields(node)
        case ast.ClassDef():
            return [Name(node.lineno, "class", node.name), *_fields(node)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [Name(node.lineno, "function", node.name)]
        case ast.Attribute(ctx=ast.Store()):
            return [Name(node.lineno, "attribute", node.attr)]
        case ast.Name(ctx=ast.Store()):
            return [Name(node.lineno, "variable", node.id)]
        case ast.arg():
            return [Name(node.lineno, "variable", node.arg)]
        case ast.Import() | ast.ImportFrom():
            return [Name(node.lineno, "variable", alias.asname) for alias in node.names if alias.asname]
    return []


def _fields(owner: ast.Module | ast.ClassDef) -> Iterator[Name]:
    """What a module or a class assigns in its body."""
    for node in owner.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (Name(node.lineno, "attribute", target.id) for target in targets if isinstance(target, ast.Name))


def sources(root: Path, folders: Iterable[str]) -> list[Source]:
    """The Python files of these folders, by path."""
    return [Source(root, path) for folder in folders for path in sorted((root / folder).rglob("*.py"))]
