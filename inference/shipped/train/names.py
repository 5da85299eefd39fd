"""Things a request may name: paths, folders, columns, pieces of text. All random, so that copying is the only way to get them right.

Words of HELD_OUT_WORDS never occur in a name that is trained on; held-out names are made of them and of fresh random strings.
"""

from random import Random

WORDS = """notes report july august september october travel hotel payroll expenses ledger budget invoice receipts summary
draft final data archive backup client project team meeting minutes agenda plan roadmap schedule todo tasks list index log
logs error access server config settings users customers orders sales revenue costs profit forecast inventory stock parts
prices products suppliers vendors contracts legal audit tax vat bank statement transfers cash card petty fuel taxi train
flight meals office rent supplies staff salaries bonus holiday leave absence training course exam results grades students
teachers school library books authors music songs albums movies photos images icons fonts styles main app test tests spec
specs src lib docs doc readme changelog license manual guide howto faq letter memo mail inbox outbox contacts phone address
map route track weather sensor temperature energy water power meter reading survey answers feedback review ratings scores
league match player game level quest story chapter poem novel recipe kitchen garden plants trees birds fish cats dogs health
doctor lab blood sample trial study paper thesis abstract figures table chart graph model weights input output raw clean
temp tmp cache old new misc other private public shared internal draft1 version release build deploy docker env local prod
north south east west berlin paris london tokyo oslo madrid anna peter maria john lucas nina admin root home desktop
downloads week month quarter year monday friday january february march april may june november december spring summer""".split()

HELD_OUT_WORDS = """zebra quartz harbor lantern mosaic pepper violet copper glacier hornet juniper kestrel lagoon meadow nectar
onyx parcel quiver ribbon saffron thicket umbrella velvet walnut yonder zephyr anchor bramble cinder drizzle ember falcon
granite hazel ivory jigsaw kettle lobster marble nimbus orchid pebble quokka raven sorrel tundra upland vortex willow
manifest ballast freight cargo dossier tariff levy refund voucher stipend roster duty shift depot wharf""".split()

EXTENSIONS = (
    "txt txt txt csv csv csv json json md log tsv xml yaml yml toml ini cfg html py js ts c h go rs sh sql tex rtf dat "
    "bak org conf env lock rst bib out"
).split()
FOLDERS = """reports data docs src q1 q2 q3 q4 2024 2025 2026 archive inbox out in private public shared team finance hr
legal travel logs backup tmp notes projects clients july home var etc opt usr assets config tests examples""".split()
COLUMNS = """amount total price cost quantity qty net gross tax vat fee hours days units weight score points balance salary
budget revenue profit discount distance km miles age count value rate sum paid due credit debit tip fare nights rooms
shipping subtotal refund mileage duration minutes volume stock sold returned bonus wage pages clicks views visits""".split()
HELD_OUT_COLUMNS = "tonnage postage kilometers surcharge deposit headcount yield turnover allowance overtime royalty gratuity".split()
PHRASE_WORDS = """the a of to and in for with on call bob anna invoice due tomorrow error failed timeout paid not urgent meeting
at noon buy milk bread room three hotel train ticket lost order shipped refund customer happy new address total is wrong
check again warning disk full user login ok done todo fixme review draft please sign contract by friday lunch client dinner
berlin paris flight number seat bank transfer received thanks see you later backup complete server restarted password changed""".split()
SYLLABLES = "ba be bi bo bu da de di do du fa fe fi ga go ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi wa we xa yo za zo tra pli sko ner mon tal vin dor".split()
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class Names:
    def __init__(self, random: Random, held_out: bool = False):
        self.random = random
        self.words = HELD_OUT_WORDS if held_out else WORDS
        self.columns = HELD_OUT_COLUMNS if held_out else COLUMNS

    def word(self) -> str:
        r = self.random.random()
        if r < 0.55:
            return self.random.choice(self.words)
        if r < 0.8:
            return "".join(self.random.choices(SYLLABLES, k=self.random.randint(2, 4)))
        return "".join(self.random.choices(ALPHABET, k=self.random.randint(1, 9)))

    def digits(self) -> str:
        pick = self.random
        return pick.choice(
            [
                f"{pick.randint(0, 99):02d}",
                str(pick.randint(0, 9)),
                str(pick.randint(1990, 2040)),
                f"20{pick.randint(10, 39)}-{pick.randint(1, 12):02d}",
                f"20{pick.randint(10, 39)}{pick.randint(1, 12):02d}{pick.randint(1, 28):02d}",
                f"v{pick.randint(1, 20)}",
                f"Q{pick.randint(1, 4)}",
                f"{pick.choice(ALPHABET)}{pick.randint(0, 999)}",
                str(pick.randint(100, 99999)),
            ]
        )

    def cased(self, parts: list[str], separator: str) -> str:
        r = self.random.random()
        if r < 0.72:
            return separator.join(parts)
        if r < 0.82:
            return separator.join(part.capitalize() for part in parts)
        if r < 0.9:
            return separator.join(part.upper() for part in parts)
        return parts[0] + "".join(part.capitalize() for part in parts[1:])

    def stem(self, separators: str = "-_-_.") -> str:
        r = self.random.random()
        if r < 0.12:
            inner = self.random.choices(ALPHABET + ALPHABET.upper() + "0123456789_-", k=self.random.randint(2, 12))
            return self.random.choice(ALPHABET) + "".join(inner).rstrip("-") + self.random.choice("abcxyz019")
        parts = [self.word() for _ in range(self.random.choice([1, 1, 1, 2, 2, 3]))]
        if self.random.random() < 0.35:
            parts.insert(self.random.randint(0, len(parts)), self.digits())
        return self.cased(parts, self.random.choice(separators))

    def folder(self) -> str:
        r = self.random.random()
        if r < 0.35 and self.words is WORDS:
            return self.random.choice(FOLDERS)
        return self.stem("-_-_")

    def prefix(self) -> str:
        """What stands before the last name of a path, with its closing slash, or nothing."""
        r = self.random.random()
        if r < 0.5:
            return ""
        if r < 0.85:
            start = ""
        else:
            start = self.random.choice(["./", "../", "../", "../../", "/", "/", "~/"])
        folders = [self.folder() for _ in range(self.random.choice([1, 1, 1, 2, 2, 3]))]
        return start + "".join(f"{folder}/" for folder in folders)

    def file(self) -> str:
        r = self.random.random()
        if r < 0.03 and self.words is WORDS:
            name = self.random.choice(["Makefile", "README", "LICENSE", "Dockerfile", ".env", ".gitignore", "TODO", "CHANGES"])
        elif r < 0.06:
            name = "." + self.word()
        elif r < 0.1:
            name = self.stem()
        else:
            extension = self.random.choice(EXTENSIONS)
            if self.random.random() < 0.08:
                extension = self.random.choice([extension.upper(), extension + ".gz", "".join(self.random.choices(ALPHABET, k=3))])
            name = f"{self.stem()}.{extension}"
        return self.prefix() + name

    def spaced_file(self) -> str:
        """A path with spaces; it must be quoted in a request."""
        words = [self.word() for _ in range(self.random.choice([2, 2, 3]))]
        return self.prefix() + f"{self.cased(words, ' ')}.{self.random.choice(EXTENSIONS)}"

    def directory(self) -> str:
        r = self.random.random()
        if r < 0.04:
            return self.random.choice(["..", "../..", "/", "/etc", "/tmp", "~", "./"])
        return self.prefix() + self.folder() + self.random.choice(["", "", "/"])

    def column(self) -> str:
        r = self.random.random()
        if r < 0.5:
            return self.random.choice(self.columns)
        if r < 0.7:
            return self.cased([self.word(), self.random.choice(self.columns)], "_")
        return self.cased([self.word() for _ in range(self.random.choice([1, 1, 2]))], "_")

    def spaced_column(self) -> str:
        return self.cased([self.word(), self.random.choice(self.columns)], " ")

    def token(self) -> str:
        """A single piece of text to look for, without spaces."""
        pick = self.random
        r = pick.random()
        if r < 0.5:
            return self.word()
        if r < 0.65:
            return self.word().capitalize()
        if r < 0.75:
            return self.word().upper()
        return pick.choice(
            [
                f"R-{pick.randint(100, 9999)}",
                f"{self.word()}@{self.word()}.{pick.choice(['com', 'org', 'de', 'example'])}",
                str(pick.randint(1, 99999)),
                f"{pick.randint(1, 999)}.{pick.randint(0, 99):02d}",
                f"20{pick.randint(20, 30)}-{pick.randint(1, 12):02d}-{pick.randint(1, 28):02d}",
                f"{self.word()}-{self.word()}",
                f"{self.word()}_{pick.randint(1, 99)}",
                f"#{pick.randint(1, 999)}",
            ]
        )

    def phrase(self) -> str:
        """Two to seven words of prose."""
        count = self.random.randint(2, 7)
        words = [self.random.choice(PHRASE_WORDS) if self.random.random() < 0.7 else self.token() for _ in range(count)]
        if self.random.random() < 0.3:
            words[0] = words[0].capitalize()
        text = " ".join(words)
        r = self.random.random()
        if r < 0.08:
            return text.replace(" ", ", ", 1)
        if r < 0.14:
            return text.replace(" ", ": ", 1)
        return text
