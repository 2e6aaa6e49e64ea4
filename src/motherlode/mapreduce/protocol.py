r"""Protocols: how a key and a value become a line of bytes, and come back.

A line is the key, a tab, and the value, unless the protocol says otherwise. Rows are grouped and
sorted by the bytes before the first tab, so a key must always be written in the same way.
"""

from __future__ import annotations

import ast
import json
from typing import Any, Protocol


class LineProtocol(Protocol):
    """Anything with these two methods can be a job's protocol."""

    def read(self, line: bytes) -> tuple[Any, Any]: ...
    def write(self, key: Any, value: Any) -> bytes: ...


class _KeyValue:
    """Key, tab, value, each through one pair of functions; the last key read is kept."""

    def __init__(self) -> None:
        self._last: tuple[bytes | None, Any] = (None, None)

    def _loads(self, text: bytes) -> Any:
        raise NotImplementedError

    def _dumps(self, value: Any) -> bytes:
        raise NotImplementedError

    def read(self, line: bytes) -> tuple[Any, Any]:
        raw, _, value = line.partition(b"\t")
        if raw != self._last[0]:
            self._last = (raw, self._loads(raw))
        return self._last[1], self._loads(value)

    def write(self, key: Any, value: Any) -> bytes:
        return self._dumps(key) + b"\t" + self._dumps(value)


class _ValueOnly(_KeyValue):
    """The value alone; keys are read as None and not written."""

    def read(self, line: bytes) -> tuple[Any, Any]:
        return None, self._loads(line)

    def write(self, key: Any, value: Any) -> bytes:
        return self._dumps(value)


class _Json(_KeyValue):
    def _loads(self, text: bytes) -> Any:
        return json.loads(text)

    def _dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()


class _Infinite(ast.NodeTransformer):
    """Puts the numbers in the place of the names that floats without a literal are written as."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


class _Repr(_KeyValue):
    def _loads(self, text: bytes) -> Any:
        source = text.decode()
        try:
            return ast.literal_eval(source)
        except ValueError:
            return ast.literal_eval(_Infinite().visit(ast.parse(source.strip(), mode="eval")))

    def _dumps(self, value: Any) -> bytes:
        return repr(value).encode()


class _Bytes(_KeyValue):
    def _loads(self, text: bytes) -> Any:
        return text

    def _dumps(self, value: Any) -> bytes:
        return b"" if value is None else value

    def read(self, line: bytes) -> tuple[Any, Any]:
        key, tab, value = line.partition(b"\t")
        return self._loads(key), self._loads(value) if tab else None

    def write(self, key: Any, value: Any) -> bytes:
        parts = [self._dumps(each) for each in (key, value) if each is not None]
        return b"\t".join(parts)


class _Text(_Bytes):
    def _loads(self, text: bytes) -> Any:
        try:
            return text.decode()
        except UnicodeDecodeError:
            return text.decode("latin-1")

    def _dumps(self, value: Any) -> bytes:
        return b"" if value is None else value.encode()


class JSONProtocol(_Json):
    """Key and value as JSON; tuples come back as lists."""


class JSONValueProtocol(_ValueOnly, _Json):
    """The value as JSON."""


class ReprProtocol(_Repr):
    """Key and value as Python literals; tuples, sets and bytes come back as they were."""


class ReprValueProtocol(_ValueOnly, _Repr):
    """The value as a Python literal."""


class BytesProtocol(_Bytes):
    """Key and value as bytes, neither with a tab in the key nor a line end."""


class BytesValueProtocol(_ValueOnly, _Bytes):
    """The line as bytes."""

    read = _ValueOnly.read
    write = _ValueOnly.write


class TextProtocol(_Text):
    """Key and value as text; bytes that are not UTF-8 are read as Latin-1."""


class TextValueProtocol(_ValueOnly, _Text):
    """The line as text; bytes that are not UTF-8 are read as Latin-1."""

    read = _ValueOnly.read
    write = _ValueOnly.write


RawProtocol = TextProtocol
RawValueProtocol = TextValueProtocol
StandardJSONProtocol = JSONProtocol
StandardJSONValueProtocol = JSONValueProtocol
SimpleJSONProtocol = UltraJSONProtocol = RapidJSONProtocol = JSONProtocol
SimpleJSONValueProtocol = UltraJSONValueProtocol = RapidJSONValueProtocol = JSONValueProtocol
