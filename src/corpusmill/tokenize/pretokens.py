"""Where text is cut before pairs are merged: no token crosses such a cut.

Two policies make a pattern: what happens to digits, and what to white space. Three of the six
pairs are in wide use, and what `corpusmill.tokenize.fast` knows by heart is encoded many times as
fast as the rest.
"""

from typing import Any, Literal

Digits = Literal["together", "single", "groups_of_three"]
Whitespace = Literal["runs", "lines"]
PatternName = Literal["gpt2", "cl100k", "o200k", "qwen2"]

_NUMBERS: dict[Digits, str] = {
    "together": r"\p{N}+",
    "single": r"\p{N}",
    "groups_of_three": r"\p{N}{1,3}",
}


def _runs(digits: Digits) -> str:
    # A number keeps the space before it only where it is one piece, as GPT-2 has it.
    number = rf" ?{_NUMBERS[digits]}" if digits == "together" else _NUMBERS[digits]
    return rf"'(?:[sdmt]|ll|ve|re)| ?\p{{L}}+|{number}| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"


def _lines(digits: Digits) -> str:
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        rf"{_NUMBERS[digits]}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


PATTERNS: dict[PatternName, str] = {
    "gpt2": _runs("together"),
    "cl100k": _lines("groups_of_three"),
    "qwen2": _lines("single"),
    "o200k": "|".join(
        (
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    ),
}
"""Published patterns by the names of the vocabularies that brought them: GPT-2 (2019), GPT-4 and
Llama 3 (cl100k), GPT-4o (o200k), Qwen 2."""


def pretokenizer(pattern: str) -> dict[str, Any]:
    """The part `pre_tokenizer` of a tokenizer.json that cuts by a pattern."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if pattern == PATTERNS["gpt2"]:
        return {**byte_level, "use_regex": True}  # the library has this pattern built in
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    return {"type": "Sequence", "pretokenizers": [split, {**byte_level, "use_regex": False}]}


def pattern_for(digits: Digits, whitespace: Whitespace) -> str:
    """The pattern of two policies."""
    return _runs(digits) if whitespace == "runs" else _lines(digits)


def pattern_of(pre_tokenizer: Any) -> str | None:
    """The pattern that a tokenizer.json cuts by; None where it cuts in another way."""
    if not isinstance(pre_tokenizer, dict):
        return None
    split = PATTERNS["gpt2"]
    steps = pre_tokenizer.get("pretokenizers")
    if steps:
        try:
            split = steps[0]["pattern"]["Regex"]
        except (KeyError, TypeError):
            return None
    wanted = pretokenizer(split)
    return split if _without_offsets(pre_tokenizer) == _without_offsets(wanted) else None


def _without_offsets(content: Any) -> Any:
    """A part of a tokenizer.json without what changes offsets only."""
    if isinstance(content, dict):
        return {k: _without_offsets(v) for k, v in content.items() if k != "trim_offsets"}
    return [_without_offsets(v) for v in content] if isinstance(content, list) else content


def byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level tokenizer.json.

    GPT-2's table (Radford et al. 2019).
    """
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]
