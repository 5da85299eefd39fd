"""Requests and what a good assistant makes of them: training examples without end, and the held-out set.

    python data.py            writes inference/shipped/heldout.jsonl
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import vocabulary
from arithmetic import NUMBER_WORDS, Arithmetic
from names import PHRASE_WORDS, Names
from phrasings import AFTER, BEFORE, CLOSERS, HELD_OUT, HELD_OUT_PAIRS, OPENERS, TRAIN
from spans import spans_of

HELD_OUT_FILE = Path(__file__).parent.parent / "heldout.jsonl"
HELD_OUT_SEED = 2026

TOOLS = {
    "list_files": ("path",),
    "read_file": ("path",),
    "count_lines": ("path",),
    "count_words": ("path",),
    "first_lines": ("path", "count"),
    "search_text": ("path", "text"),
    "sum_column": ("path", "column"),
    "check_entries": ("path",),
    "file_size": ("path",),
    "write_note": ("path", "text"),
    "calculate": ("expression",),
    "no_tool": (),
}
FILE_TOOLS = [name for name in TOOLS if name not in ("calculate", "no_tool")]
# calls with two arguments take longer to learn
FILE_TOOLS_BY_NEED = [*FILE_TOOLS, *["search_text", "sum_column", "write_note"] * 3, "list_files", "read_file", "read_file"]
COPIED = {"path", "column", "text"}
WITHOUT_TOOLS = "Without tools I can only do small sums."

INNERMOST = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")
FILLERS = "really just exactly again also actually simply now here maybe then kindly quickly once perhaps only there".split()
FILE_NOUNS = ["the file", "file", "my file", "the document", "the text file", "our file", "the attached"]
FOLDER_NOUNS = ["the folder", "folder", "the directory", "directory", "the subfolder", "my folder"]


@dataclass(frozen=True)
class Example:
    kind: str
    request: str
    call: dict | None
    answer: str | None = None

    def completion(self) -> list[int]:
        if self.call is None:
            return [*(self.answer or "").encode(), vocabulary.END]
        values = [str(value) for value in self.call["arguments"].values()]
        return [*vocabulary.call_ids(self.call["name"], values), vocabulary.END]


@dataclass
class Said:
    """A template in the making: its words with a private character for each argument, and what those stand for."""

    words: str
    pieces: list[str] = field(default_factory=list)

    def hold(self, piece: str) -> str:
        self.pieces.append(piece)
        return chr(0xE000 + len(self.pieces) - 1)

    def text(self) -> str:
        return re.sub("[\ue000-\uf8ff]", lambda mark: self.pieces[ord(mark[0]) - 0xE000], self.words)


class Requests:
    """An endless source of examples. The same seed gives the same examples."""

    def __init__(self, seed: int, held_out: bool = False):
        self.random = Random(seed)
        self.held_out = held_out
        self.names = Names(self.random, held_out)
        self.arithmetic = Arithmetic(self.random, held_out)
        self.phrasings = HELD_OUT if held_out else TRAIN

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def any(self) -> Example:
        """The mix that the model is trained on."""
        r = self.random.random()
        if r < 0.62:
            return self.tool(self.random.choice(FILE_TOOLS_BY_NEED))
        if r < 0.76:
            return self.tool("no_tool")
        if r < 0.93:
            return self.calculation()
        return self.direct_sum() if r < 0.98 else self.without_tools()

    def tool(self, name: str) -> Example:
        while True:
            said, arguments = self.fill(self.random.choice(self.phrasings[name]))
            if not self.held_out and any(a in said.words and b in said.words for a, b in HELD_OUT_PAIRS):
                continue
            request = self.utter(said)
            spans = spans_of(request)
            call = {"name": name, "arguments": {key: arguments[key] for key in TOOLS[name] if key in arguments}}
            # a request from which an argument could not be copied teaches nothing
            if len(request.encode()) < 440 and all(spans.holds(v) for k, v in call["arguments"].items() if k in COPIED):
                return Example("none" if name == "no_tool" else "tool", request, call)

    def calculation(self) -> Example:
        asked = self.arithmetic.call()
        request = self.utter(self.verbatim(asked.request), calm=True)
        return Example("arithmetic-call", request, {"name": "calculate", "arguments": {"expression": asked.expression}})

    def direct_sum(self) -> Example:
        asked = self.arithmetic.direct()
        request = asked.request if self.chance(0.5) else self.utter(self.verbatim(asked.request), calm=True, short=True)
        return Example("arithmetic-direct", request, None, asked.answer)

    def without_tools(self) -> Example:
        return Example("other-direct", self.tool(self.random.choice([*FILE_TOOLS, "no_tool"])).request, None, WITHOUT_TOOLS)

    def echo(self) -> Example:
        """Nothing but copying: it makes the heads that copy form early, and is dropped after the first part of training."""
        text = self.names.file() if self.chance(0.5) else self.names.phrase()
        return Example("echo", text, None, text)

    def verbatim(self, request: str) -> Said:
        """Figures and signs must survive the noise: only words of letters take part in it."""
        said = Said("")
        said.words = re.sub(r"[^A-Za-z ,.?]+(?: [^A-Za-z ,.?]+)*", lambda part: said.hold(part[0]), request)
        return said

    def fill(self, template: str) -> tuple[Said, dict]:
        template, _, flag = template.partition("|<")
        said, arguments = Said(self.expand(template)), {}

        def slot(match: re.Match) -> str:
            kind = match[1]
            if kind in ("w", "word", "Word"):
                word = self.names.word() if kind != "w" else self.random.choice(self.names.words)
                return word.capitalize() if kind == "Word" else word
            if kind == "count":
                number, arguments["count"] = self.count(digits=flag == "digits>")
                return said.hold(number)
            argument, shown = getattr(self, kind)()
            arguments["path" if kind in ("file", "folder", "dir", "path") else kind] = argument
            noun, _, name = shown.rpartition("\0")
            return noun + said.hold(name)

        said.words = SLOT.sub(slot, said.words)
        if flag == "one>":
            arguments["count"] = 1
        return said, arguments

    def expand(self, template: str) -> str:
        while INNERMOST.search(template):
            template = INNERMOST.sub(lambda match: self.random.choice(match[1].split("|")), template)
        return re.sub(" +", " ", template).strip()

    # what a slot holds: the argument, and how the request shows it (a noun before "\0" takes part in the noise)

    def quoted(self, name: str, always: bool = False) -> str:
        if not always and self.chance(0.68):
            return name
        return self.random.choice(['"{}"', '"{}"', "'{}'", "'{}'", "`{}`", "“{}”"]).format(name)

    def path(self) -> tuple[str, str]:
        if self.chance(0.06):
            name = self.names.spaced_file()
            return name, self.quoted(name, always=True)
        name = self.names.file()
        return name, self.quoted(name)

    def file(self) -> tuple[str, str]:
        name, shown = self.path()
        noun = self.random.choice(FILE_NOUNS) + " \0" if self.chance(0.22) else ""
        return name, noun + shown

    def dir(self) -> tuple[str, str]:
        name = self.names.directory()
        return name, self.quoted(name)

    def folder(self) -> tuple[str, str]:
        name, shown = self.dir()
        noun = self.random.choice(FOLDER_NOUNS) + " \0" if self.chance(0.4) else ""
        return name, noun + shown

    def column(self) -> tuple[str, str]:
        if self.chance(0.08):
            name = self.names.spaced_column()
            return name, self.quoted(name, always=True)
        name = self.names.column()
        return name, self.quoted(name)

    def text(self) -> tuple[str, str]:
        r = self.random.random()
        if r < 0.45:
            text = self.names.phrase()
            return text, self.quoted(text, always=True)
        if r < 0.6:
            text = " ".join(self.random.choices(PHRASE_WORDS, k=self.random.randint(2, 5)))
            return text, text
        text = self.names.token()
        return text, self.quoted(text, always=self.chance(0.5))

    def count(self, digits: bool) -> tuple[str, int]:
        n = self.random.choice([self.random.randint(2, 20), self.random.randint(2, 12), self.random.randint(2, 500)])
        if digits or n > 20 or self.chance(0.5):
            return str(n), n
        return ("a dozen" if n == 12 and self.chance(0.3) else NUMBER_WORDS[n]), n

    # noise: how the same thing is said by different people

    def utter(self, said: Said, calm: bool = False, short: bool = False) -> str:
        r = self.random.random
        words = said.words
        if r() < (0.2 if calm else 0.4):
            words = f"{self.random.choice(OPENERS)} {words}"
        question = bool(re.match(r"(how|what|which|where|who|why|is|are|do|does|can|could|would|may|will)\b", words))
        closer = r() < (0.1 if calm else 0.2)
        if closer:
            words = f"{words}{self.random.choice([' ', ', '])}{self.random.choice(CLOSERS)}"
        words = SLOT.sub(lambda _: self.random.choice(self.names.words), words)
        if r() < 0.5:
            words = words[:1].upper() + words[1:]
        if r() < 0.5:
            words = re.sub(r"\bi\b", "I", words)
        if r() < 0.02:
            words = words.upper()
        if not self.held_out and not calm and r() < 0.15:
            words = self.random.choice([self.mistyped, self.clipped, self.padded, self.padded])(words)
        words += self.random.choice(["?", "?", "", "??", "?"] if question else [".", ".", "", "", "!"])
        if not short and r() < (0.04 if calm else 0.12):
            words = f"{self.setting(BEFORE)} {words}"
        if not short and r() < (0.02 if calm else 0.08):
            words = f"{words}{'' if words[-1] in '.?!' else '.'} {self.setting(AFTER)}"
        return Said(words, said.pieces).text()

    def setting(self, sentences: list[str]) -> str:
        count = self.random.choice([1] * 12 + [2, 2, 3, 5, 8])
        chosen = " ".join(self.random.choices(sentences, k=count))
        return SLOT.sub(lambda _: self.random.choice(self.names.words), chosen)

    def mistyped(self, words: str) -> str:
        letters = [i for i in range(1, len(words) - 1) if words[i - 1 : i + 2].isascii() and words[i - 1 : i + 2].isalpha()]
        if not letters:
            return words
        at = self.random.choice(letters)
        return words[:at] + self.random.choice(["", words[at] * 2, words[at + 1] + words[at]]) + words[at + 1 :]

    def clipped(self, words: str) -> str:
        """Without one of its small words, as in notes."""
        small = [m.span() for m in re.finditer(r"\b(the|a|an|all|of|please|me|is) ", words)]
        if not small:
            return words
        start, end = self.random.choice(small)
        return words[:start] + words[end:]

    def padded(self, words: str) -> str:
        """With a word between that says nothing."""
        at = self.random.choice([m.start() for m in re.finditer(" |$", words)])
        return f"{words[:at]} {self.random.choice(FILLERS)}{words[at:]}"


def held_out_examples() -> list[Example]:
    source = Requests(HELD_OUT_SEED, held_out=True)
    examples = [source.tool(name) for name in FILE_TOOLS for _ in range(50)]
    examples += [source.calculation() for _ in range(200)]
    examples += [source.direct_sum() for _ in range(200)]
    return examples + [source.tool("no_tool") for _ in range(100)]


def read_held_out() -> list[Example]:
    lines = HELD_OUT_FILE.read_text().splitlines()
    return [Example(e["kind"], e["request"], e["call"], e.get("answer")) for e in map(json.loads, lines)]


def trained_by_chance() -> list[str]:
    """Held-out wordings that some training template could make after all; there must be none."""

    def plain(template: str) -> str:
        return template.replace("{path}", "{file}").replace("{dir}", "{folder}")

    def pattern(template: str) -> str:
        template = re.escape(plain(template.partition("|<")[0])).replace("\\[", "(?:").replace("\\]", ")").replace("\\|", "|")
        return template.replace("\\ ", " *")

    def expansions(template: str) -> list[str]:
        match = INNERMOST.search(template)
        if not match:
            # {folder} and {file} may begin with a noun of their own
            template = re.sub(f"({'|'.join(FOLDER_NOUNS)}) (?={{folder}})|({'|'.join(FILE_NOUNS)}) (?={{file}})", "", template)
            return [re.sub(" +", " ", template).strip()]
        choices = match[1].split("|")
        return [e for c in choices for e in expansions(template[: match.start()] + c + template[match.end() :])]

    known = [re.compile(pattern(template)) for templates in TRAIN.values() for template in templates]
    held = [said for templates in HELD_OUT.values() for template in templates for said in expansions(plain(template))]
    return [said for said in held if any(k.fullmatch(said) for k in known)]


if __name__ == "__main__":
    assert not trained_by_chance(), trained_by_chance()
    with HELD_OUT_FILE.open("w") as out:
        for example in held_out_examples():
            line = {"kind": example.kind, "request": example.request, "call": example.call}
            if example.answer is not None:
                line["answer"] = example.answer
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
