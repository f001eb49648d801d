"""The reader changes no line, wherever blocks and pieces end."""

import json
import os
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from cclake_tailer.counters import Counters
from cclake_tailer.lines import TOO_DEEP, fault_of
from cclake_tailer.output import Output
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from hypothesis import example, given
from hypothesis import strategies as st
from tailing import Kept

TEXT = (
    b'{"a":1}\n{"b":"\xc3\xa4\xe2\x80\xa8x"}\nbroken\n\n{"c":[1,{"d":null}]}\r\n'
    b'{"e":"%s"}\n{"f":"\xff"}\n' % (b"y" * 60)
)


class Growing:
    """A file that grows in pieces, and a reader that reads after each of them."""

    def __init__(self, folder: Path, block: int) -> None:
        self.path = folder / "a.jsonl"
        self.path.touch()
        self.sink = folder / "out"
        self.out = Output(os.open(self.sink, os.O_CREAT | os.O_WRONLY))
        self.counters = Counters()
        self.reader = Reader(self.out, self.counters, block)
        self.known = Checkpoint("h", "/r", "p/a.jsonl", "00" * 8)

    def add(self, piece: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(piece)
        fd = os.open(self.path, os.O_RDONLY)
        assert self.reader.matches(fd, self.known)
        while self.reader.read(fd, self.known, 1000):
            pass
        os.close(fd)

    def records(self) -> Kept:
        self.out.flush()
        os.close(self.out.fd)
        kept = Kept()
        for text in self.sink.read_bytes().splitlines(keepends=True):
            kept.take(text)
        return kept


def read(pieces: list[bytes], block: int = 1 << 20) -> Kept:
    with tempfile.TemporaryDirectory() as folder:
        growing = Growing(Path(folder), block)
        for piece in pieces:
            growing.add(piece)
        return growing.records()


def complete(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


line = st.one_of(
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
    st.dictionaries(st.text(max_size=5), st.text(max_size=300), max_size=3).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8")
    ),
)


@given(st.lists(line, max_size=8), st.data(), st.integers(1, 700))
def test_reading_a_growing_file_equals_reading_it_at_once(
    lines: list[bytes], data: st.DataObject, block: int
) -> None:
    whole = b"".join(each + b"\n" for each in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    edges = [0, *cuts, len(whole)]
    grown = read([whole[a:b] for a, b in pairwise(edges)], block)
    assert grown.lines == read([whole]).lines
    assert grown.content("00" * 8, 0) == whole


@pytest.mark.parametrize("block", range(1, len(TEXT) + 2))
def test_lines_are_whole_at_every_block_boundary(block: int) -> None:
    assert read([TEXT], block).lines == read([TEXT]).lines


@pytest.mark.parametrize("cut", range(len(TEXT) + 1))
def test_lines_are_whole_at_every_cut(cut: int) -> None:
    kept = read([TEXT[:cut], TEXT[cut:]], block=64)
    assert kept.lines == read([TEXT]).lines
    assert kept.content("00" * 8, 0) == TEXT


@pytest.mark.parametrize("block", [16, 1 << 20])
@pytest.mark.parametrize("before", [b"", b'{"sent":1}\n'])
def test_a_torn_line_that_is_rewritten_is_searched_from_its_start(
    tmp_path: Path, block: int, before: bytes
) -> None:
    growing = Growing(tmp_path, block)
    growing.add(before + b'{"torn":"%s' % (b"x" * 50))
    growing.path.write_bytes(before + b'{"whole":1}\n{"torn":"')
    growing.add(b"y" * 60)
    kept = growing.records()
    assert kept.content("00" * 8, 0) == before + b'{"whole":1}\n'


def test_short_lines_have_a_checkpoint_per_thousand() -> None:
    with tempfile.TemporaryDirectory() as folder:
        growing = Growing(Path(folder), 1 << 20)
        growing.add(b"{}\n" * 10_500)
        growing.out.flush()
        runs = [0]
        for text in growing.sink.read_bytes().splitlines():
            if b'"kind":"checkpoint"' in text:
                runs.append(0)
            else:
                runs[-1] += 1
        growing.records()
    assert max(runs) <= 1000
    assert sum(runs) == 10_500


@given(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")))
@example(b'{"a":"\xed\xa0\x80"}')
@example(b'{"\xff":1}')
def test_a_line_without_fault_is_a_json_object_in_utf8(data: bytes) -> None:
    if fault_of(data) is None:
        assert isinstance(json.loads(data.decode()), dict)


@pytest.mark.parametrize(
    "hostile",
    [
        b"", b" ", b"null", b"[1]", b'"x"', b"1", b"\x00" * 50, b'{"a":1}{"b":2}',
        b'{"type":"user","mess{"type":"user"}', b'{"a":NaN}', b'{"a":Infinity}',
        b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b"\xef\xbb\xbf{}",
        b'{"a":"\x01"}', b'{"a":1,}', b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)  # fmt: skip
def test_hostile_lines_are_raw_with_a_reason(hostile: bytes) -> None:
    kept = read([b'{"before":1}\n' + hostile + b'\n{"after":1}\n'])
    assert [each.data for each in kept.lines] == [
        b'{"before":1}', hostile, b'{"after":1}',
    ]  # fmt: skip
    assert kept.lines[1].error
    assert kept.lines[0].error is None


@pytest.mark.parametrize(
    ("line", "deep"),
    [
        (b'{"a":%s1%s}' % (b"[" * 699, b"]" * 699), False),
        (b'{"a":%s1%s}' % (b"[" * 700, b"]" * 700), True),
        (b'{"a":%s1%s}' % (b'{"[":' * 700, b"}" * 700), True),
        (b'{"a":[%s[]]}' % (b"[]," * 5000), False),
        (b'{"a":"%s"}' % (b'\\\\\\"[{' * 5000), False),
        (b'{"a":"\\\\",%s"b":%s1%s}' % (b'"x":[],' * 9, b"[" * 700, b"]" * 700), True),
        (b'{"a":%s1%s}' % (b"[" * 90_000, b"]" * 90_000), True),
    ],
)
def test_the_depth_of_a_line_is_limited_alike_on_every_python(
    line: bytes, deep: bool
) -> None:
    assert (fault_of(line) == TOO_DEEP) == deep
    assert (fault_of(line) is None) == (not deep)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"a":9223372036854775808}', b'{"a":1e400}', b'{"a":1,"a":2}',
        b'{"a":' + b"[" * 250 + b"]" * 250 + b"}", b'{"a\\u0000":1}', b'{"":{}}',
        b'{"a":[' + b"0," * 500_000 + b"0]}", b'{"s":"\xe2\x80\xa8\xc2\x85\x7f"}',
        b' {"a":1}', b'{"a":1}\r', b'{"a":1}\t ',
    ],
)  # fmt: skip
def test_odd_but_valid_lines_keep_every_byte(odd: bytes) -> None:
    kept = read([odd + b"\n"])
    assert [(each.data, each.error) for each in kept.lines] == [(odd, None)]


def test_entry_is_the_last_key_and_verbatim() -> None:
    entry = b'{ "b" : 1.0e3 , "a":"\\u00e4", "b": 2 }'
    with tempfile.TemporaryDirectory() as folder:
        growing = Growing(Path(folder), 1 << 20)
        growing.add(entry + b"\n")
        growing.out.flush()
        assert (
            growing.sink.read_bytes()
            .splitlines()[0]
            .endswith(b',"off":0,"len":%d,"entry":%s}' % (len(entry) + 1, entry))
        )
        growing.records()
