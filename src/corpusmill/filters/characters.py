"""What is each character? One table of flags, made from Python's own Unicode database."""

import functools
import unicodedata

import numpy as np
import numpy.typing as npt

SPACE = 1 << 0
LETTER = 1 << 1
UPPER = 1 << 2
LOWER = 1 << 3
NUMBER = 1 << 4
"""Any Unicode number; rules about digits in words look at 0 to 9 only."""
MARK = 1 << 5
"""Combining: belongs to the character before it."""
PUNCTUATION = 1 << 6
SYMBOL = 1 << 7
"""A word of only these is a symbol, not a word: punctuation, symbols, control characters."""
REFERENCE_SYMBOL = 1 << 8
"""The same as datatrove has it: a list that lacks bullets, currency and emoji."""
TERMINAL = 1 << 9
"""Ends a sentence in some script."""
UNSPACED = 1 << 10
"""A letter of a script that is written without spaces: Han, kana, Thai, Lao, Burmese, Khmer."""
OPENS = 1 << 11
"""Cut off at the front of a run of characters."""
CLOSES = 1 << 12
"""Cut off at its end."""
ICON = 1 << 13
"""A pictograph or other symbol: always a token of its own."""
QUOTE = 1 << 14

TABLE_SIZE = 0x34000
"""Every letter, number, mark, punctuation and symbol of Unicode lies below; what lies above (tags,
private use) has no flags."""

TERMINALS = (
    "!.?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕៖៙៚᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᭽᭾᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼⹓⹔。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？｡"
    "𐩖𐩗𐽕𐽖𐽗𐽘𐽙𐾆𐾇𐾈𐾉𑁇𑁈𑂾𑂿𑃀𑃁𑅁𑅂𑅃𑇅𑇆𑇍𑇞𑇟𑈸𑈹𑈻𑈼𑊩𑑋𑑌𑗂𑗃𑗉𑗊𑗋𑗌𑗍𑗎𑗏𑗐𑗑𑗒𑗓𑗔𑗕𑗖𑗗𑙁𑙂𑜼𑜽𑜾𑥄𑥆𑩂𑩃𑪛𑪜𑱁𑱂𑻷𑻸𑽃𑽄𖩮𖩯𖫵𖬷𖬸𖭄𖺘𛲟𝪈"
)
"""datatrove 0.10.1's TERMINAL_PUNCTUATION, which is Unicode's property Sentence_Terminal."""

REFERENCE_SYMBOLS = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
    + "".join(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
    + TERMINALS
)
"""datatrove 0.10.1's PUNCTUATION_SET."""

# What spaCy's tokenizer cuts off for all languages (spacy/lang/char_classes.py, 3.8).
_MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉⟦⟧"
_OPENING = _MARKS + _QUOTES + "§%=—–+$£€¥฿﷼" + "".join(map(chr, range(0x20A0, 0x20C1)))
_CLOSING = _MARKS + _QUOTES + "—–"

_UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han iteration mark and zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x20000, TABLE_SIZE - 1),  # Han
)


_FLAGS_OF_CATEGORY = {
    **dict.fromkeys(("Lu", "Lt"), LETTER | UPPER),
    "Ll": LETTER | LOWER,
    **dict.fromkeys(("Lm", "Lo"), LETTER),
    **dict.fromkeys(("Nd", "Nl", "No"), NUMBER),
    **dict.fromkeys(("Mn", "Mc", "Me"), MARK),
    **dict.fromkeys(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"), PUNCTUATION | SYMBOL),
    **dict.fromkeys(("Sm", "Sc", "Sk"), SYMBOL),
    "So": SYMBOL | ICON | OPENS | CLOSES,
}


@functools.cache
def character_flags() -> npt.NDArray[np.uint16]:
    """Flags of each code point below TABLE_SIZE."""
    characters = "".join(map(chr, range(TABLE_SIZE)))
    categories = map(unicodedata.category, characters)
    flags = np.array([_FLAGS_OF_CATEGORY.get(category, 0) for category in categories], np.uint16)
    flags[list(map(str.isspace, characters))] |= np.uint16(SPACE)
    for characters_of, flag in (
        (TERMINALS, TERMINAL),
        (REFERENCE_SYMBOLS, REFERENCE_SYMBOL | SYMBOL),
        (_OPENING, OPENS),
        (_CLOSING, CLOSES),
        (_QUOTES, QUOTE),
    ):
        flags[[ord(c) for c in characters_of]] |= np.uint16(flag)
    for first, last in _UNSPACED_RANGES:
        block = flags[first : last + 1]
        block[block & LETTER > 0] |= np.uint16(UNSPACED)
    flags.setflags(write=False)
    return flags
