"""What may be written next in a compact tool call: the same language as inference/constrain/, in Python, to measure with."""

from spans import spans_of
from vocabulary import ARG, CALL, END

DIGITS = frozenset(b"0123456789")
EXPRESSION = frozenset(b"0123456789 .+-*/()")
KINDS = {"path": "copy", "column": "copy", "text": "copy", "count": "integer", "expression": "expression"}
OPTIONAL = {("list_files", "path")}
LONGEST_EXPRESSION = 120


class Grammar:
    """The calls that may answer one request, given the tools that are offered: {name: arguments}."""

    def __init__(self, request: str, tools: dict[str, tuple[str, ...]]):
        spans = spans_of(request)
        offsets = [len(request[:i].encode()) for i in range(len(request) + 1)]
        self.bytes = request.encode()
        self.starts = {offsets[at]: None if end is None else offsets[end] for at, end in spans.starts.items()}
        self.ends = {offsets[end] for end in spans.ends}
        self.last = max(self.ends, default=0)
        self.tools = {name.encode(): (name, arguments) for name, arguments in tools.items()}

    def next(self, written: list[int]) -> set[int]:
        """The tokens that may follow what was written behind the prompt."""
        if not written:
            return {CALL}
        parts: list[list[int]] = [[]]
        for token in written[1:]:
            if token == ARG:
                parts.append([])
            else:
                parts[-1].append(token)
        name = bytes(parts[0])
        if len(parts) == 1:
            letters = {known[len(name)] for known in self.tools if known.startswith(name) and len(known) > len(name)}
            return letters | self.behind(name, 0)
        _, arguments = self.tools[name]
        value = bytes(parts[-1])
        letters, complete = getattr(self, KINDS[arguments[len(parts) - 2]])(value)
        return letters | (self.behind(name, len(parts) - 1) if complete else set())

    def behind(self, name: bytes, given: int) -> set[int]:
        if name not in self.tools:
            return set()
        tool, arguments = self.tools[name]
        missing = [argument for argument in arguments[given:] if (tool, argument) not in OPTIONAL]
        return ({ARG} if given < len(arguments) else set()) | (set() if missing else {END})

    def copy(self, value: bytes) -> tuple[set[int], bool]:
        letters, complete = set(), False
        for start, end in self.starts.items():
            if self.bytes.startswith(value, start):
                at = start + len(value)
                if at < (self.last if end is None else end):
                    letters.add(self.bytes[at])
                complete |= bool(value) and (at in self.ends if end is None else at == end)
        return letters, complete

    def integer(self, value: bytes) -> tuple[set[int], bool]:
        return set(DIGITS if len(value) < 9 and value != b"0" else ()), bool(value)

    def expression(self, value: bytes) -> tuple[set[int], bool]:
        return set(EXPRESSION if len(value) < LONGEST_EXPRESSION else ()), bool(value)


def parse(written: list[int], tools: dict[str, tuple[str, ...]]) -> dict | None:
    """The call that was written, or None if it never came to its end."""
    if not written or written[-1] != END:
        return None
    parts: list[list[int]] = [[]]
    for token in written[1:-1]:
        if token == ARG:
            parts.append([])
        else:
            parts[-1].append(token)
    name, *values = (bytes(part).decode(errors="replace") for part in parts)
    arguments = {key: int(value) if key == "count" else value for key, value in zip(tools[name], values)}
    return {"name": name, "arguments": arguments}
