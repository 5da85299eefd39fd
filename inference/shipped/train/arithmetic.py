"""Sums in words and figures: what is asked, the expression that a calculator wants, and, for small ones, the answer."""

from dataclasses import dataclass
from random import Random

NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()

ASK = [
    "{e}", "{e} =", "{e} = ?", "what is {e}", "what's {e}", "calculate {e}", "compute {e}", "work out {e}", "evaluate {e}",
    "how much is {e}", "tell me {e}", "what does {e} make", "what does {e} come to", "what do you get for {e}", "solve {e}",
    "give me the result of {e}", "what is the result of {e}", "what is the value of {e}", "can you work out {e}",
    "could you compute {e}", "I need {e}", "please calculate {e}", "what would {e} be", "how much would {e} be",
    "find {e}", "i want to know what {e} is", "do you know what {e} is", "calc {e}", "figure out {e}", "sum: {e}",
    "what are {e}", "what will {e} give", "what's the answer to {e}", "quick sum: {e}", "let me know what {e} makes",
]  # fmt: skip
HELD_OUT_ASK = [
    "what number is {e}", "would you mind working out {e}", "I wonder what {e} comes to", "the result of {e}",
    "determine {e}", "what do I get from {e}", "help me with {e}", "{e} makes what", "what might {e} be", "{e} equals",
]  # fmt: skip

# a phrase of two numbers, the expression it stands for; the first list asks for itself, without ASK around
SENTENCES = {
    "+": [
        "add {a} and {b}", "add {a} to {b}|{b} + {a}", "add up {a} and {b}", "add {b} to {a}", "sum up {a} and {b}",
        "I have {a} apples and buy {b} more. How many do I have", "there are {a} cats and {b} dogs. How many animals is that",
        "one bill is {a} and the other {b}. What do they make together", "what do {a} and {b} make together",
        "Anna paid {a} and Peter paid {b}. How much did they pay together", "I walked {a} km and then {b} km. How far in all",
        "we had {a} chairs and got {b} more. How many now", "how much are {a} and {b} together", "put {a} and {b} together",
        "{a} people came on Monday and {b} on Tuesday. How many came", "increase {a} by {b}", "what is {b} more than {a}",
    ],
    "-": [
        "subtract {b} from {a}", "take {b} away from {a}", "take {b} from {a}", "deduct {b} from {a}", "reduce {a} by {b}",
        "I had {a} euros and spent {b}. How much is left", "there were {a} cakes and {b} were eaten. How many are left",
        "how much more is {a} than {b}", "{a} guests came and {b} left. How many stayed", "decrease {a} by {b}",
        "a tank of {a} liters lost {b}. What remains", "of {a} tickets {b} are sold. How many remain",
        "what is {b} less than {a}", "how much less than {a} is {b}", "Maria has {a} coins and gives away {b}. How many has she",
    ],
    "*": [
        "multiply {a} by {b}", "multiply {a} and {b}", "multiply {a} with {b}", "{a} boxes hold {b} pens each. How many pens",
        "what do {a} tickets at {b} each cost", "{a} nights at {b} euros. What is the total", "how much are {a} books at {b} euros each",
        "there are {a} rows of {b} seats. How many seats", "I buy {a} cups for {b} each. What do I pay",
        "{a} workers do {b} hours each. How many hours is that", "each of {a} bags weighs {b} kg. What is the weight of all",
    ],
    "/": [
        "divide {a} by {b}", "split {a} into {b} equal parts", "share {a} among {b}", "split {a} by {b}",
        "{a} sweets are shared by {b} children. How many for each", "{a} euros are split between {b} people. What does each pay",
        "how often does {b} go into {a}", "how many times does {b} fit into {a}", "{a} km in {b} hours. How fast is that",
    ],
}  # fmt: skip
HELD_OUT_SENTENCES = {
    "+": ["combine {a} and {b}", "Lucas owns {a} books and borrows {b} more. How many books is that", "{a} and {b} added up"],
    "-": ["remove {b} from {a}", "a shop had {a} lamps and sold {b}. How many are left", "{a} reduced by {b}"],
    "*": ["{a} shelves hold {b} jars each. How many jars", "what is the price of {a} pens at {b} each", "{a} multiplied with {b}"],
    "/": ["{a} eggs are shared by {b} families. How many for each", "what is one of {b} equal parts of {a}", "cut {a} into {b} equal parts"],
}  # fmt: skip

INFIX = {
    "+": ["+", "+", "plus", "plus", "and", "added to"],
    "-": ["-", "-", "minus", "minus", "less", "take away"],
    "*": ["*", "*", "x", "times", "times", "multiplied by", "×"],
    "/": ["/", "/", "divided by", "divided by", "over", "÷", ":"],
}
NOUN = {
    "+": ["the sum of {a} and {b}", "the total of {a} and {b}"],
    "-": ["the difference between {a} and {b}", "the difference of {a} and {b}"],
    "*": ["the product of {a} and {b}"],
    "/": ["the quotient of {a} and {b}", "the ratio of {a} to {b}"],
}


@dataclass(frozen=True)
class Sum:
    request: str
    expression: str
    answer: str | None = None


class Arithmetic:
    def __init__(self, random: Random, held_out: bool = False):
        self.random = random
        self.ask = HELD_OUT_ASK if held_out else ASK
        self.sentences = HELD_OUT_SENTENCES if held_out else SENTENCES

    def number(self) -> tuple[str, str]:
        """As it is said and as a calculator wants it."""
        pick = self.random
        r = pick.random()
        if r < 0.25:
            n = pick.randint(0, 20)
            return NUMBER_WORDS[n], str(n)
        if r < 0.5:
            n = str(pick.randint(0, 20))
        elif r < 0.72:
            n = str(pick.randint(10, 999))
        elif r < 0.85:
            n = str(pick.randint(1000, 99999))
        else:
            n = f"{pick.randint(0, 999)}.{pick.choice([str(pick.randint(0, 9)), f'{pick.randint(0, 99):02d}'])}"
        return n, n

    def call(self) -> Sum:
        """A request for the calculator: up to four numbers, parentheses where the words make them."""
        r = self.random.random()
        if r < 0.25:
            said, expression = self.sentence(self.number(), self.number())
            return Sum(said, expression)
        if r < 0.32:
            said, expression = self.special()
        elif r < 0.47:
            said, expression = self.written()
        elif r < 0.62:
            said, expression = self.noun()
        else:
            said, expression = self.chain()
        return Sum(self.random.choice(self.ask).replace("{e}", said), expression)

    def direct(self) -> Sum:
        """A small sum that the model answers by itself."""
        pick = self.random
        op = pick.choice("+++---**/")
        if op in "+-":
            top = pick.choice([20, 99, 99, 999])
            a, b = pick.randint(0, top), pick.randint(0, top)
            if op == "-" and pick.random() < 0.9:
                a, b = max(a, b), min(a, b)
        else:
            a, b = (pick.randint(2, 12), pick.randint(2, 12)) if pick.random() < 0.7 else (pick.randint(2, 9), pick.randint(11, 99))
            if op == "/":
                a = a * b
        answer = {"+": a + b, "-": a - b, "*": a * b, "/": a // max(b, 1)}[op]
        x, y = self.spoken(a), self.spoken(b)
        r = pick.random()
        if r < 0.12:
            said, expression = self.sentence(x, y, op)
            return Sum(said, expression, str(answer))
        if r < 0.2:
            said, expression = self.noun(x, y, op)
        else:
            said, expression = f"{x[0]} {self.infix(op)} {y[0]}", f"{a} {op} {b}"
            if pick.random() < 0.25:
                said = expression.replace(" ", pick.choice(["", " "]))
        return Sum(pick.choice(self.ask).replace("{e}", said), expression, str(answer))

    def spoken(self, n: int) -> tuple[str, str]:
        word = n <= 20 and self.random.random() < 0.3
        return (NUMBER_WORDS[n] if word else str(n)), str(n)

    def infix(self, op: str) -> str:
        return self.random.choice(INFIX[op])

    def sentence(self, a: tuple[str, str], b: tuple[str, str], op: str | None = None) -> tuple[str, str]:
        op = op or self.random.choice("+-*/")
        phrase, _, meaning = self.random.choice(self.sentences[op]).partition("|")
        meaning = meaning or f"{{a}} {op} {{b}}"
        return phrase.format(a=a[0], b=b[0]), meaning.format(a=a[1], b=b[1])

    def noun(self, a=None, b=None, op: str | None = None) -> tuple[str, str]:
        """'the sum of A and B', alone or multiplied, divided, added to."""
        (sa, ea), (sb, eb) = a or self.number(), b or self.number()
        inner = op or self.random.choice("++-*/")
        said, expression = self.random.choice(NOUN[inner]).format(a=sa, b=sb), f"{ea} {inner} {eb}"
        if op or self.random.random() < 0.35:
            return said, expression
        outer = self.random.choice("**/+-")
        sc, ec = self.number()
        if self.random.random() < 0.5:
            first = f"({expression})" if inner in "+-" and outer in "*/" else expression
            return f"{said} {self.infix(outer)} {sc}", f"{first} {outer} {ec}"
        second = f"({expression})" if outer == "/" or (inner in "+-" and outer != "+") else expression
        return f"{sc} {self.infix(outer)} {said}", f"{ec} {outer} {second}"

    def chain(self) -> tuple[str, str]:
        """A plus B times C: said from left to right, without parentheses."""
        said, expression = self.number()
        for _ in range(self.random.choice([1, 1, 1, 2, 2, 3])):
            op = self.random.choice("++--**/")
            more, value = self.number()
            said, expression = f"{said} {self.infix(op)} {more}", f"{expression} {op} {value}"
        return said, expression

    def written(self) -> tuple[str, str]:
        """In symbols, spaced anyhow, with parentheses here and there."""
        pick = self.random

        def term() -> str:
            return pick.choice([str(pick.randint(0, 99)), str(pick.randint(0, 9999)), f"{pick.randint(0, 99)}.{pick.randint(0, 99)}"])

        pieces = [term()]
        for _ in range(pick.choice([1, 1, 2, 2, 3])):
            pieces += [pick.choice("+-*/"), term()]
        if len(pieces) >= 5 and pick.random() < 0.5:
            at = pick.choice(range(0, len(pieces) - 2, 2))
            pieces[at], pieces[at + 2] = "(" + pieces[at], pieces[at + 2] + ")"
        expression = " ".join(pieces)
        said = expression if pick.random() < 0.4 else expression.replace(" ", "")
        if pick.random() < 0.2:
            said = said.replace("*", "×")
        return said, expression

    def special(self) -> tuple[str, str]:
        (sa, ea), (sb, eb) = self.number(), self.number()
        return self.random.choice(
            [
                (f"half of {sa}", f"{ea} / 2"),
                (f"twice {sa}", f"2 * {ea}"),
                (f"double {sa}", f"2 * {ea}"),
                (f"a third of {sa}", f"{ea} / 3"),
                (f"{sa} squared", f"{ea} * {ea}"),
                (f"the average of {sa} and {sb}", f"({ea} + {eb}) / 2"),
                (f"the mean of {sa} and {sb}", f"({ea} + {eb}) / 2"),
                (f"{sa} percent of {sb}", f"{ea} / 100 * {eb}"),
                (f"{sa}% of {sb}", f"{ea} / 100 * {eb}"),
            ]
        )
