"""Encode texts with another library: python peer_encode.py LIBRARY FOLDER.

The folder has tokenizer.json and texts.json (a list). Prints {"seconds": of CPU, "digests": one per
text}, or null where the library is not there or does not take the vocabulary.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def encoder(library: str, path: Path) -> Callable[[str], Iterable[int]]:
    """A function from text to tokens, special tokens being plain text."""
    content = json.loads(path.read_text("utf-8"))
    names = {token["content"] for token in content.pop("added_tokens")}
    content["added_tokens"] = []
    model = content["model"]
    model["vocab"] = {token: n for token, n in model["vocab"].items() if token not in names}
    plain = path.with_name("plain.json")
    plain.write_text(json.dumps(content), "utf-8")
    if library == "tiktoken":
        import tiktoken

        encoding = tiktoken.Encoding(
            "trained",
            pat_str=pattern(content["pre_tokenizer"]),
            mergeable_ranks={bytes_of(token): n for token, n in model["vocab"].items()},
            special_tokens={},
        )
        return lambda text: encoding.encode_to_numpy(text, disallowed_special=())
    if library == "gigatoken":
        import gigatoken

        return gigatoken.Tokenizer.from_json(plain.read_bytes()).encode
    if library == "tokie":
        import tokie

        tokenizer = tokie.Tokenizer.from_json(str(path))  # never ends without them
        return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    import kitoken

    encode: Callable[[str], Iterable[int]] = kitoken.Kitoken.from_file(str(path)).encode
    return encode


def pattern(pre_tokenizer: dict[str, Any]) -> str:
    """The regular expression that text is cut by; GPT-2's where none is written down."""
    if pre_tokenizer["type"] == "Sequence":
        return str(pre_tokenizer["pretokenizers"][0]["pattern"]["Regex"])
    return r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def bytes_of(token: str) -> bytes:
    """The bytes that a byte-level token stands for."""
    return bytes(LETTERS[letter] for letter in token)


def letters() -> dict[str, int]:
    """GPT-2's letters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain}
    return table | {chr(256 + n): byte for n, byte in enumerate(others)}


LETTERS = letters()


def main() -> None:
    """Print."""
    library, folder = sys.argv[1], Path(sys.argv[2])
    try:
        encode = encoder(library, folder / "tokenizer.json")
    except (ImportError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        print("null")
        return
    texts = json.loads((folder / "texts.json").read_text("utf-8"))
    encode("a first text, for what is set up only then")
    start = time.process_time()
    found = [encode(text) for text in texts]
    seconds = time.process_time() - start
    digests = [hash(tuple(map(int, tokens))) for tokens in found]
    print(json.dumps({"seconds": seconds, "digests": digests}))


if __name__ == "__main__":
    main()
