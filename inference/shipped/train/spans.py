"""Where a copied value may begin and end in a request: the same rules as inference/constrain/span.ts.

A value begins at a word, behind its opening quotes and brackets, and ends at a word, before closing ones and before the
punctuation of the sentence. One that begins behind an opening quote ends at the quote that closes it. Offsets count characters.
"""

import re
from dataclasses import dataclass

OPENING = re.compile(r"""^["'`“‘«‹„(<\[{]+""")
QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "‹": "›", "„": "“"}
PUNCTUATION = re.compile(r"[.,;:?!…]+$")
CLOSING = re.compile(r"""["'`”’»›“)>\]}]+$""")
POSSESSIVE = re.compile(r"['’]s$")
BEFORE_QUOTE = re.compile(r"[\s(:=,\[{]")
BEHIND_QUOTE = re.compile(r"$|[\s.,;:?!…)\]}]|['’]s\b")


@dataclass(frozen=True)
class Spans:
    text: str
    starts: dict[int, int | None]
    """Each place to begin, with the one place to end where that is settled."""
    ends: frozenset[int]

    def holds(self, value: str) -> bool:
        """True if some piece that may be copied is this value."""
        for at, end in self.starts.items():
            if value and self.text.startswith(value, at):
                stop = at + len(value)
                if stop == end if end is not None else stop in self.ends:
                    return True
        return False


def spans_of(text: str) -> Spans:
    starts: dict[int, int | None] = {}
    ends: set[int] = set()
    for word in re.finditer(r"\S+", text):
        body = OPENING.sub("", word[0])
        if body:
            starts[word.end() - len(body)] = None
        ends |= {word.start() + end for end in ends_of(word[0])}
    for at, end in quoted_pieces(text):
        starts[at] = end
        ends.add(end)
    return Spans(text, starts, frozenset(ends))


def ends_of(word: str) -> list[int]:
    possessive = POSSESSIVE.search(PUNCTUATION.sub("", word))
    ends = [possessive.start()] if possessive else []
    rest, before = word, ""
    while before != rest:
        before = rest
        rest = PUNCTUATION.sub("", rest)
        if re.search(r"[)\]}>]$", rest) and re.search(r"[(\[{<]", rest[1:]):
            ends.append(len(rest))
        rest = CLOSING.sub("", rest)
    return [*ends, len(rest) or len(word)]


def quoted_pieces(text: str) -> list[tuple[int, int]]:
    pieces, i = [], 0
    while i < len(text):
        close = QUOTES.get(text[i])
        if close and (i == 0 or BEFORE_QUOTE.match(text[i - 1])) and text[i + 1 : i + 2].strip():
            end = text.find(close, i + 2)
            while end != -1 and not BEHIND_QUOTE.match(text[end + 1 : end + 4]):
                end = text.find(close, end + 1)
            if end != -1:
                pieces.append((i + 1, end))
                i = end
        i += 1
    return pieces
