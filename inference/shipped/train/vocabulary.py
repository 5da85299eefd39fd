"""The 262 tokens: ids 0 to 255 are the bytes themselves, then the marks that structure a conversation.

One byte, one token: a file name never seen before is spelled with tokens seen a million times, and can be copied.
"""

MARKS = ["<|pad|>", "<|user|>", "<|assistant|>", "<|call|>", "<|end|>", "<|arg|>"]
PAD, USER, ASSISTANT, CALL, END, ARG = range(256, 262)
SIZE = 256 + len(MARKS)


def prompt_ids(request: str) -> list[int]:
    """What the chat template of tokenizer_config.json renders, as ids."""
    return [USER, *request.encode(), ASSISTANT]


def call_ids(name: str, arguments: list[str]) -> list[int]:
    """A tool call in the compact format, without its closing <|end|>."""
    ids = [CALL, *name.encode()]
    for value in arguments:
        ids += [ARG, *value.encode()]
    return ids


def byte_letters() -> list[str]:
    """The printable character that the ByteLevel convention (GPT-2) gives each byte."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def tokenizer_json() -> dict:
    vocabulary = {letter: byte for byte, letter in enumerate(byte_letters())}
    vocabulary |= {mark: 256 + i for i, mark in enumerate(MARKS)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": 256 + i,
                "content": mark,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, mark in enumerate(MARKS)
        ],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }


def tokenizer_config() -> dict:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        # the model answers the last thing the person said; it has no use for system text or earlier turns
        "chat_template": "{% set ns = namespace(last='') %}"
        "{% for m in messages %}{% if m['role'] == 'user' %}{% set ns.last = m['content'] %}{% endif %}{% endfor %}"
        "{{ '<|user|>' + ns.last }}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    }
