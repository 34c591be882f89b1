"""Addresses of crypto currencies: those with a checksum in them, and Ethereum's form."""

import hashlib
import re
from collections.abc import Iterator

from corpusmill.privacy.candidates import CODE
from corpusmill.privacy.context import near, words
from corpusmill.privacy.finding import ANNOUNCED, CHECKED, SHAPED, Finding
from corpusmill.privacy.recognizer import Recognizer

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE58 = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_CHECKED = re.compile(r"[13LMDAX7t2mnT9Er5KL][1-9A-HJ-NP-Za-km-z]{24,51}")
"""First letters of Bitcoin, Litecoin, Dogecoin, Dash, Zcash, Tron, Ripple; of private keys, too."""
_BECH32 = re.compile(r"(?:bc|tb|ltc|addr|cosmos|osmo|bnb|stake|terra)1[02-9ac-hj-np-z]{38,98}")
_BECH32_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_PRIVATE = re.compile(r"[xyzt](?:prv|pub)[1-9A-HJ-NP-Za-km-z]{107}")
"""Extended keys (BIP 32): of 82 bytes with the check."""
_STELLAR = re.compile(r"[GS][A-Z2-7]{55}")
_CASH = re.compile(r"[qp][02-9ac-hj-np-z]{41}")
_CASH_PREFIX = "bitcoincash:"
_OTHER = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,48}")
"""Solana, Polkadot and others: a public key in base 58 without a check that could be told by the
address alone."""
_WALLET_WORDS = words(
    r"(?:[\w-]*[ _-]?)?(?:wallet|portemonnaie|portefeuille|cartera|monedero|carteira|portfel)\w*"
    r"|crypto\w*|solana|sol|polkadot|dot|phantom|blockchain|(?:btc|eth|sol|crypto)_?address"
    r"|address\w*|кошел\S*|钱包|ウォレット"
)
_ETHEREUM = re.compile(r"0[xX][0-9A-Fa-f]{40}")
_MONERO = re.compile(r"[48][1-9A-HJ-NP-Za-km-z]{94}")


def valid_base58(address: str) -> bool:
    """Base58Check: the last four bytes are the double SHA-256 of the rest."""
    for alphabet in (_BASE58, _RIPPLE58):
        number = 0
        for letter in address:
            number = number * 58 + alphabet.index(letter)
        data = number.to_bytes((number.bit_length() + 7) // 8)
        for length in (25, 26, 37, 38):
            whole = data.rjust(length, b"\0")
            if len(whole) == length:
                payload, check = whole[:-4], whole[-4:]
                digest = hashlib.sha256(hashlib.sha256(payload).digest()).digest()
                if digest[:4] == check:
                    return True
    return False


def valid_bech32(address: str) -> bool:
    """BIP 173 and BIP 350 (bech32m)."""
    prefix, _, data = address.rpartition("1")
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    values += [_BECH32_LETTERS.index(c) for c in data]
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            state ^= generator if top >> bit & 1 else 0
    return state in (1, 0x2BC830A3)


def wallets(text: str, start: int, end: int) -> Iterator[Finding]:
    """An address that is the whole token."""
    if not 25 <= end - start <= 111:
        return
    value = text[start:end]
    if _ETHEREUM.fullmatch(value):
        if len(set(value.lower())) > 8:
            yield Finding(start, end, "CRYPTO", SHAPED, "wallets")
    elif _BECH32.fullmatch(value.lower()) and (value.islower() or value.isupper()):
        if valid_bech32(value.lower()):
            yield Finding(start, end, "CRYPTO", CHECKED, "wallets")
    elif _CHECKED.fullmatch(value) and valid_base58(value):
        yield Finding(start, end, "CRYPTO", CHECKED, "wallets")
    elif _PRIVATE.fullmatch(value) or _STELLAR.fullmatch(value):
        yield Finding(start, end, "CRYPTO", SHAPED, "wallets")
    elif _CASH.fullmatch(value):
        begin = start - len(_CASH_PREFIX)
        if text[max(0, begin) : start].lower() == _CASH_PREFIX:
            yield Finding(begin, end, "CRYPTO", SHAPED, "wallets")
    elif _MONERO.fullmatch(value):
        yield Finding(start, end, "CRYPTO", SHAPED, "wallets")
    elif (
        _OTHER.fullmatch(value)
        and _random(value)
        and near(text, start, end, _WALLET_WORDS, before=48, after=0)
    ):
        yield Finding(start, end, "CRYPTO", ANNOUNCED, "wallets")


def _random(value: str) -> bool:
    """Whether digits, capitals and small letters are mixed as in no name of source code."""
    digits, capitals = sum(map(str.isdigit, value)), sum(map(str.isupper, value))
    return min(digits, capitals, len(value) - digits - capitals) >= 3 and len(set(value)) > 17


RECOGNIZERS = (Recognizer(name="wallets", entities=("CRYPTO",), kinds=(CODE,), find=wallets),)
