"""The state codec: a round trip, one spelling of each value, and no harm from any bytes."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from motherlode.algebra import codec, column_codec
from motherlode.core.errors import StateError

DTYPES = ["?", "i1", "u1", "<i4", ">i4", "<i8", "u8", "<f2", "<f4", "<f8", ">f8", "c8", "c16",
          "<M8[us]", "<m8[s]", "S3", "<U4"]  # fmt: skip

texts = st.text(max_size=8)
numbers = st.integers() | st.floats()
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    )
)
leaves = st.none() | st.booleans() | numbers | texts | st.binary(max_size=8) | arrays
TYPES = [
    pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(),
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.binary_view(),
    pa.binary(3), pa.date32(), pa.timestamp("us", "UTC"), pa.duration("ms"), pa.time64("ns"),
    pa.decimal128(9, 2), pa.decimal256(40, 3), pa.dictionary(pa.int8(), pa.string()),
    pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.list_(pa.float64())),
    pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]),
    pa.list_(pa.struct([("x", pa.float32())])), pa.list_(pa.dictionary(pa.int8(), pa.string())),
]  # fmt: skip


def values_of(kind):
    if pa.types.is_null(kind):
        return st.none()
    if pa.types.is_dictionary(kind):
        return values_of(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return st.none() | st.lists(values_of(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({f.name: values_of(f.type) for f in kind})
    if pa.types.is_boolean(kind):
        return st.none() | st.booleans()
    if pa.types.is_floating(kind):
        return st.none() | st.floats(width=kind.bit_width)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return st.none() | texts
    if pa.types.is_fixed_size_binary(kind):
        return st.none() | st.binary(min_size=3, max_size=3)
    if pa.types.is_binary(kind) or kind == pa.binary_view():
        return st.none() | st.binary(max_size=6)
    if pa.types.is_decimal(kind):
        return st.none() | st.decimals(-999, 999, places=2)
    if pa.types.is_temporal(kind):
        return st.none() | st.integers(0, 1000)
    return st.none() | st.integers(0, 127)


@st.composite
def columns(draw):
    kind = draw(st.sampled_from(TYPES))
    values = draw(st.lists(values_of(kind), max_size=6))
    if pa.types.is_temporal(kind):
        storage = pa.int32() if kind == pa.date32() else pa.int64()
        return pa.array(values, storage).cast(kind)
    return built(values, kind)


def built(values, kind):
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type):
        plain = pa.array(values, pa.list_(kind.value_type.value_type))
        coded = plain.values.dictionary_encode().cast(kind.value_type)
        mask = None if not plain.null_count else pa.array([v is None for v in values])
        return pa.ListArray.from_arrays(plain.offsets, coded, mask=mask)
    return pa.array(values, kind)


plain_data = st.recursive(
    leaves | columns(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)


def python(value):
    """Plain data as Python objects in which equal values are equal, NaN among them."""
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return [python(v) for v in value.to_pylist()]
    if isinstance(value, pa.Table | pa.RecordBatch):
        return {name: python(value.column(name)) for name in value.schema.names}
    if isinstance(value, np.ndarray):
        return (value.dtype.newbyteorder("<").str, value.shape, python(value.tolist()))
    if isinstance(value, dict):
        return {key: python(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(python, value))
    if isinstance(value, float | complex):
        return repr(value)
    return value


@given(plain_data)
def test_what_is_decoded_is_what_was_encoded(plain):
    document = codec.encode(plain)
    decoded = codec.decode(document)
    assert python(decoded) == python(plain)
    assert codec.encode(decoded) == document
    assert codec.digest(decoded) == codec.digest(plain)


def test_decoded_arrays_are_fresh_and_writable():
    document = codec.encode(np.arange(3))
    codec.decode(document)[0] = 9
    assert codec.decode(document).tolist() == [0, 1, 2]


class TestOneSpelling:
    """Equal data give equal bytes, however they were made."""

    @given(columns(), st.integers(0, 3))
    def test_of_columns(self, array, padding):
        wanted = codec.encode(array)
        longer = pa.concat_arrays([array[:1]] * padding + [array, array[-1:]])
        shift = padding * len(array[:1])
        assert codec.encode(longer.slice(shift, len(array))) == wanted
        half = len(array) // 2
        assert codec.encode(pa.chunked_array([array[:half], array[half:]])) == wanted

    @pytest.mark.parametrize("kind", TYPES, ids=str)
    def test_of_columns_of_nulls(self, kind):
        array = pa.nulls(3, kind)
        assert codec.decode(codec.encode(array)).null_count == 3
        assert codec.decode(codec.encode(pa.nulls(0, kind))).to_pylist() == []

    @pytest.mark.parametrize("other", [
        pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
    ], ids=str)  # fmt: skip
    def test_of_strings_in_any_encoding(self, other):
        values = ["tin", None, "", "ore", "tin"]
        wanted = codec.encode(pa.array(values, pa.string()))
        coded = pa.array(values, pa.string())
        if pa.types.is_dictionary(other):
            coded = coded.dictionary_encode()
        assert codec.encode(coded.cast(other)) == wanted

    def test_of_dictionaries_in_any_order_with_unused_words(self):
        one = pa.DictionaryArray.from_arrays([0, 1, None], ["tin", "ore", "gold"])
        two = pa.DictionaryArray.from_arrays([2, 0, 1], ["ore", None, "tin"])
        assert codec.encode(one) == codec.encode(two)

    def test_of_nulls_hiding_values(self):
        wanted = codec.encode(pa.array([1, None, 3]))
        hiding = pa.array(np.array([1, 77, 3]), mask=np.array([False, True, False]))
        assert codec.encode(hiding) == wanted

    def test_of_nulls_hiding_strings_lists_and_structs(self):
        valid = pa.py_buffer(b"\x05")
        hiding = pa.Array.from_buffers(pa.string(), 3, [valid, *pa.array("abc").buffers()[1:]])
        hiding = pa.StringArray.from_buffers(
            3, pa.py_buffer(np.array([0, 1, 2, 3], "i4")), pa.py_buffer(b"axb"), valid
        )
        assert codec.encode(hiding) == codec.encode(pa.array(["a", None, "b"]))
        lists = pa.ListArray.from_arrays(
            [0, 1, 2, 3], [1, 9, 3], mask=pa.array([False, True, False])
        )
        assert codec.encode(lists) == codec.encode(pa.array([[1], None, [3]]))
        struct_ = pa.StructArray.from_arrays(
            [pa.array([1, 9, 3])], ["a"], mask=pa.array([False, True, False])
        )
        assert codec.encode(struct_) == codec.encode(pa.array([{"a": 1}, None, {"a": 3}]))

    def test_of_unknown_null_counts(self):
        array = pa.array([1, 2, None])[:2]
        assert codec.encode(array) == codec.encode(pa.array([1, 2]))

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
    def test_of_nan(self, dtype):
        unsigned = f"u{dtype[1]}"
        ours = np.array([np.nan, 1.0], dtype)
        other = ours.copy()
        other.view(unsigned)[0] ^= 1 | np.array(1 << (8 * int(dtype[1]) - 1), unsigned)
        assert np.isnan(other[0])
        assert other.tobytes() != ours.tobytes()
        assert codec.encode(other) == codec.encode(ours)
        assert codec.encode(pa.array(other)) == codec.encode(pa.array(ours))
        assert codec.encode(float(other[0])) == codec.encode(float("nan"))

    @pytest.mark.parametrize("dtype", ["c8", "c16"])
    def test_of_complex_nan(self, dtype):
        ours = np.array([complex(np.nan, 1.0), complex(0.0, np.nan)], dtype)
        other = ours.copy()
        parts = other.view(f"f{int(dtype[1:]) // 2}")
        parts[np.isnan(parts)] = -np.abs(parts[np.isnan(parts)])
        other.view(f"u{int(dtype[1:]) // 2}")[0] ^= 1
        assert codec.encode(other) == codec.encode(ours)

    @given(arrays)
    def test_of_arrays_in_any_layout(self, array):
        wanted = codec.encode(array)
        assert codec.encode(array.copy(order="F")) == wanted
        assert codec.encode(np.repeat(array[None], 2, axis=0)[1, ...]) == wanted
        assert codec.encode(array.astype(array.dtype.newbyteorder("S"))) == wanted
        if array.ndim:
            assert codec.encode(np.ascontiguousarray(array[::-1])[::-1]) == wanted

    def test_of_booleans_of_any_truth(self):
        odd = np.array([0, 2, 255], np.uint8).view(bool)
        assert codec.encode(odd) == codec.encode(np.array([False, True, True]))

    def test_of_scalars_and_dicts(self):
        assert codec.encode({"b": np.int64(1), "a": np.float32(0.5)}) == codec.encode(
            {"a": 0.5, "b": 1}
        )
        assert codec.encode(np.bool_(True)) == codec.encode(True)

    def test_of_tables(self):
        table = pa.table({"k": ["a", "b", "a"], "n": [1, 2, 3]})
        chunked = pa.concat_tables([table[:1], table[1:]])
        assert codec.encode(chunked) == codec.encode(table)
        assert codec.encode(table.to_batches()[0]) == codec.encode(table)
        described = table.replace_schema_metadata({"made": "yesterday"})
        assert codec.encode(described) == codec.encode(table)


@pytest.mark.parametrize(("left", "right"), [
    (0.0, -0.0), (1, 1.0), (1, True), ([1], (1,)), ("1", b"1"), (None, False), ({}, []),
    (np.zeros(2), np.zeros((2, 1))), (np.zeros(1, "f4"), np.zeros(1, "f8")),
    (pa.array([None], pa.int64()), pa.array([0])), (pa.array([""]), pa.array([None], pa.string())),
    (pa.array([[]], pa.list_(pa.int64())), pa.array([None], pa.list_(pa.int64()))),
    (2**53, float(2**53)), ({"d": 1}, [["d", 1]]), ({"t": []}, ()),
])  # fmt: skip
def test_different_data_give_different_bytes(left, right):
    assert codec.encode(left) != codec.encode(right)


def test_a_table_without_columns_keeps_its_rows():
    table = pa.table({"a": [1, 2, 3]}).select([])
    assert codec.decode(codec.encode(table)).num_rows == 3


def test_columns_of_one_name_are_all_kept():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert codec.decode(codec.encode(table)).columns == table.columns


@pytest.mark.parametrize("value", [
    object(), {1: 2}, {1, 2}, 1j, np.array([object()]), np.datetime64("2020"), lambda: 1,
    np.zeros(1, [("a", "i4")]), np.longdouble(1), np.zeros(1, np.longdouble), np.float64,
    pa.array([[1, 2]], pa.list_(pa.int64(), 2)), pa.array([[("a", 1)]], pa.map_("string", "int64")),
    pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
    pa.RunEndEncodedArray.from_arrays([2], [1]), pa.array([[1]], pa.list_view(pa.int64())),
    pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), pa.scalar(1),
], ids=lambda value: str(type(value)))  # fmt: skip
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(StateError, match="cannot hold"):
        codec.encode([value])


SAMPLE = {
    "numbers": np.arange(6.0).reshape(2, 3),
    "words": pa.array(["a", None, "b"]),
    "lists": pa.array([[1, 2], None, []]),
    "table": pa.table({"k": ["x"], "s": [{"a": 1, "b": [True]}]}),
    "rest": (None, True, 2**70, 0.1, b"raw", "text"),
}


def test_a_document_cut_short_anywhere_is_refused():
    document = codec.encode(SAMPLE)
    for length in range(len(document)):
        with pytest.raises(StateError):
            codec.decode(document[:length])
    with pytest.raises(StateError):
        codec.decode(document + b"\0")


def test_any_flipped_bit_is_noticed():
    document = codec.encode(SAMPLE)
    for position in range(len(document)):
        damaged = bytearray(document)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(StateError):
            codec.decode(bytes(damaged))


def test_another_version_is_told():
    document = bytearray(codec.encode(1))
    document[4] = 9
    with pytest.raises(StateError, match="format version 9"):
        codec.decode(bytes(document))


def sealed(manifest, *buffers):
    """A document with a right checksum around any manifest."""
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    body = struct.pack("<4sHQ", b"MLST", 1, len(text)) + text + b"".join(buffers)
    return body + hashlib.blake2b(body, digest_size=16).digest()


def tree(node, *buffers):
    return sealed({"tree": node, "sizes": [len(b) for b in buffers]}, *buffers)


def type_named(kind):
    return column_codec.named(column_codec.stored_type(kind))


def nested(depth):
    return ["list", nested(depth - 1)] if depth else "int8"


HUGE = 2**62
EIGHT = bytes(8)
HOSTILE = {
    "not json": sealed(b"{"),
    "not utf-8": sealed(b"\xff\xfe"),
    "deep lists": sealed(b'{"sizes":[],"tree":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep nodes": sealed(b'{"sizes":[],"tree":' + b'{"t":[' * 5000 + b"]}" * 5000 + b"}"),
    "a list": sealed([]),
    "no tree": sealed({"sizes": []}),
    "sizes are text": sealed({"tree": 1, "sizes": ["a"]}),
    "negative size": sealed({"tree": {"b": 0}, "sizes": [-3]}, EIGHT),
    "size beyond the end": sealed({"tree": {"b": 0}, "sizes": [9]}, EIGHT),
    "size too small": sealed({"tree": {"b": 0}, "sizes": [3]}, EIGHT),
    "size is true": sealed({"tree": {"b": 0}, "sizes": [True]}, b"a"),
    "huge size": sealed({"tree": {"b": 0}, "sizes": [2**70]}, EIGHT),
    "unknown tag": tree({"pickle": 0}, EIGHT),
    "two tags": tree({"b": 0, "f": "1"}, EIGHT),
    "bare float": tree(0.5),
    "not a number": sealed(b'{"sizes":[],"tree":NaN}'),
    "buffer beyond": tree({"b": 1}, EIGHT),
    "buffer negative": tree({"b": -1}, EIGHT),
    "buffer is true": tree({"b": True}, EIGHT, EIGHT),
    "buffer is text": tree({"b": "0"}, EIGHT),
    "float overflows": tree({"f": "0x1p99999"}),
    "float is no text": tree({"f": 1}),
    "integer is text": tree({"i": "zz"}),
    "integer is a list": tree({"i": [1]}),
    "key is a number": tree({"d": [[1, 2]]}),
    "key is a list": tree({"d": [[[], 2]]}),
    "pairs of three": tree({"d": [["a", 1, 2]]}),
    "key twice": tree({"d": [["a", 1], ["a", 2]]}),
    "items are no list": tree({"d": 3}),
    "tuple of nothing": tree({"t": None}),
    "tuple is text": tree({"t": "abc"}),
    "objects": tree({"a": 0, "y": "|O", "s": [1]}, EIGHT),
    "records": tree({"a": 0, "y": "i4,i4", "s": [1]}, EIGHT),
    "dtype is syntax": tree({"a": 0, "y": "(1,", "s": [1]}, EIGHT),
    "dtype is a dict": tree({"a": 0, "y": {"names": ["a"], "formats": ["O"]}, "s": [1]}, EIGHT),
    "dtype is nothing": tree({"a": 0, "y": None, "s": [1]}, EIGHT),
    "dtype is huge": tree({"a": 0, "y": "<U536870912", "s": [0]}, b""),
    "dtype of no width": tree({"a": 0, "y": "|S0", "s": [HUGE]}, b""),
    "shape does not fit": tree({"a": 0, "y": "<f8", "s": [2]}, EIGHT),
    "shape is huge": tree({"a": 0, "y": "<f8", "s": [2**70]}, EIGHT),
    "shape is huge and empty": tree({"a": 0, "y": "<f8", "s": [0, HUGE]}, b""),
    "shape is unknown": tree({"a": 0, "y": "<f8", "s": [-1]}, EIGHT),
    "shape is text": tree({"a": 0, "y": "<f8", "s": "1"}, EIGHT),
    "shape of many dimensions": tree({"a": 0, "y": "<f8", "s": [1] * 99}, EIGHT),
    "shape is missing": tree({"a": 0, "y": "<f8"}, EIGHT),
    "odd bytes": tree({"a": 0, "y": "<f8", "s": [1]}, bytes(9)),
    "letters beyond Unicode": tree({"a": 0, "y": "<U2", "s": [1]}, b"\xff" * 8),
    "type is unknown": tree({"c": [1, None, 0], "y": "int65"}, EIGHT),
    "type of no unit": tree({"c": [1, None, 0], "y": ["timestamp", "weeks", None]}, EIGHT),
    "type of no width": tree({"c": [HUGE, None, 0], "y": ["binary", 0]}, b""),
    "type of negative width": tree({"c": [1, None, 0], "y": ["binary", -1]}, EIGHT),
    "type of too many digits": tree({"c": [1, None, 0], "y": ["decimal128", 99, 0]}, bytes(16)),
    "type of scale beyond": tree({"c": [1, None, 0], "y": ["decimal128", 9, HUGE]}, bytes(16)),
    "type nested deeply": tree({"c": [1, None, 0], "y": nested(900)}, EIGHT),
    "type has a nameless field": tree({"c": [1, None], "y": ["struct", [[3, "int8"]]]}),
    "type is a number": tree({"c": [1, None, 0], "y": 7}, EIGHT),
    "extension type": tree({"c": [1, None, 0], "y": "extension<arrow.uuid>"}, bytes(16)),
    "dictionary type": tree(
        {"c": [1, None, 0], "y": "dictionary<values=string, indices=int8, ordered=0>"}, EIGHT
    ),
    "union type": tree({"c": [1, None, 0], "y": ["union", []]}, EIGHT),
    "column is empty": tree({"c": [], "y": type_named(pa.int64())}),
    "column too long": tree({"c": [9, None, 0], "y": type_named(pa.int64())}, EIGHT),
    "column is huge": tree({"c": [HUGE, None, 0], "y": type_named(pa.int64())}, EIGHT),
    "column is huge bits": tree({"c": [HUGE, None, 0], "y": type_named(pa.bool_())}, EIGHT),
    "column beyond 64 bits": tree({"c": [2**70, None, 0], "y": type_named(pa.int64())}, EIGHT),
    "column is negative": tree({"c": [-1, None, 0], "y": type_named(pa.int64())}, EIGHT),
    "column of half a row": tree({"c": [0.5, None, 0], "y": type_named(pa.int64())}, EIGHT),
    "column without values": tree({"c": [1, None], "y": type_named(pa.int64())}),
    "validity too short": tree({"c": [64, 0, 1], "y": type_named(pa.int8())}, b"\0", bytes(64)),
    "nulls are huge": tree({"c": [HUGE, None], "y": type_named(pa.null())}),
    "nulls are negative": tree({"c": [-1, None], "y": type_named(pa.null())}),
    "strings out of bounds": tree(
        {"c": [1, None, 0, 1], "y": type_named(pa.large_string())},
        np.array([0, HUGE], "i8").tobytes(), b"abc",
    ),
    "strings run backwards": tree(
        {"c": [2, None, 0, 1], "y": type_named(pa.large_string())},
        np.array([0, 3, 1], "i8").tobytes(), b"abc",
    ),
    "strings of bad letters": tree(
        {"c": [1, None, 0, 1], "y": type_named(pa.large_string())},
        np.array([0, 1], "i8").tobytes(), b"\xff",
    ),
    "strings without text": tree(
        {"c": [1, None, 0], "y": type_named(pa.large_string())}, np.array([0, 3], "i8").tobytes()
    ),
    "short strings": tree(
        {"c": [1, None, 0, 1], "y": "string"}, np.array([0, 3], "i4").tobytes(), b"abc"
    ),
    "lists out of bounds": tree(
        {"c": [1, None, 0, [1, None, 1]], "y": type_named(pa.large_list(pa.int64()))},
        np.array([0, HUGE], "i8").tobytes(), EIGHT,
    ),
    "lists of huge columns": tree(
        {"c": [1, None, 0, [HUGE, None, 1]], "y": type_named(pa.large_list(pa.int64()))},
        np.array([0, HUGE], "i8").tobytes(), EIGHT,
    ),
    "lists without items": tree(
        {"c": [1, None, 0], "y": type_named(pa.large_list(pa.int64()))}, bytes(16)
    ),
    "struct of short columns": tree(
        {"c": [9, None, [1, None, 0]], "y": type_named(pa.struct([("a", pa.int64())]))}, EIGHT
    ),
    "struct without columns": tree(
        {"c": [1, None], "y": type_named(pa.struct([("a", pa.int64())]))}
    ),
    "struct of nothing, huge": tree({"c": [HUGE, None], "y": type_named(pa.struct([]))}),
    "table of uneven columns": tree(
        {"T": [["a", {"c": [1, None, 0], "y": type_named(pa.int64())}], ["b", 3]], "n": 1}, EIGHT
    ),
    "table of scalars": tree({"T": [["a", 3]], "n": 1}),
    "table of lists": tree({"T": [["a", [1, 2]]], "n": 2}),
    "table of arrays": tree({"T": [["a", {"a": 0, "y": "<f8", "s": [1]}]], "n": 1}, EIGHT),
    "table named by numbers": tree(
        {"T": [[7, {"c": [1, None, 0], "y": type_named(pa.int64())}]], "n": 1}, EIGHT
    ),
    "table of other length": tree(
        {"T": [["a", {"c": [1, None, 0], "y": type_named(pa.int64())}]], "n": 5}, EIGHT
    ),
    "table without columns, huge": tree({"T": [], "n": HUGE}),
    "table without columns, negative": tree({"T": [], "n": -1}),
    "table without columns or rows": tree({"T": []}),
    "decimal of another width": tree(
        {"c": [1, None, 0], "y": type_named(pa.decimal128(5, 1))}, EIGHT
    ),
    "decimal beyond its digits": tree(
        {"c": [1, None, 0], "y": type_named(pa.decimal128(5, 1))}, b"\xff" * 15 + b"\x7f"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_refused(name):
    with pytest.raises(StateError):
        codec.decode(HOSTILE[name])


@given(st.binary(max_size=60))
def test_noise_is_refused(noise):
    with pytest.raises(StateError):
        codec.decode(noise)
    with pytest.raises(StateError):
        codec.decode(sealed(noise))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([-1, 0, 1, HUGE]) | texts
    | st.sampled_from([type_named(kind) for kind in (pa.int64(), pa.null(), pa.large_string(),
                       pa.struct([("a", pa.bool_())]), pa.large_list(pa.int8()))])
    | st.sampled_from(["<f8", "|O", "|S1", "0x1p3", "nan"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from("Tacdtbfiysn"), inner, min_size=1, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(json_values, st.lists(st.binary(max_size=16), max_size=3))
def test_any_manifest_is_decoded_or_refused(node, buffers):
    try:
        decoded = codec.decode(tree(node, *buffers))
    except StateError:
        return
    assert codec.decode(codec.encode(decoded)) is not NotImplemented
