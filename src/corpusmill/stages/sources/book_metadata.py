"""What a book says about itself, in one notation: language codes, dates, licences."""

import re

_LANGUAGES = """
af afr Afrikaans|ar ara Arabic|bg bul Bulgarian|bo tib bod Tibetan|br bre Breton|ca cat Catalan
cs cze ces Czech|cy wel cym Welsh|da dan Danish|de ger deu German Deutsch|el gre ell Greek
en eng English|eo epo Esperanto|es spa Spanish Castilian Español|et est Estonian|eu baq eus Basque
fa per fas Persian Farsi|fi fin Finnish|fr fre fra French Français|fy fry Frisian
ga gle Irish Gaelic|gd gla Scottish|gl glg Galician|he heb Hebrew|hi hin Hindi|hr hrv Croatian
hu hun Hungarian|hy arm hye Armenian|ia ina Interlingua|id ind Indonesian|is ice isl Icelandic
it ita Italian Italiano|ja jpn Japanese|ka geo kat Georgian|ko kor Korean|la lat Latin
lt lit Lithuanian|lv lav Latvian|mi mao mri Maori|ms may msa Malay|mt mlt Maltese
nl dut nld Dutch Flemish|nn nno Nynorsk|no nob nor Norwegian|oc oci Occitan|pl pol Polish
pt por Portuguese Português|ro rum ron Romanian|ru rus Russian|sa san Sanskrit|sk slo slk Slovak
sl slv Slovenian|sq alb sqi Albanian|sr srp Serbian|sv swe Swedish|ta tam Tamil|te tel Telugu
th tha Thai|tl tgl Tagalog|tr tur Turkish|uk ukr Ukrainian|ur urd Urdu|vi vie Vietnamese
yi yid Yiddish|zh chi zho cmn Chinese
"""
"""The two-letter code, then ISO 639-2 (library and native form) and the English name."""
_CODES = {
    name.lower(): names.split()[0]
    for names in _LANGUAGES.replace("\n", "|").split("|")
    for name in names.split()
}
_FIRST_WORD = re.compile(r"\W*([^\W\d_]+)")


def language_code(name: str) -> str:
    """The code of a language given by name, code or BCP 47 tag; the first of several.

    Two letters where there is such a code, three otherwise, as language identification writes it;
    empty when it is not known.

    >>> language_code("English"), language_code("pt-BR"), language_code("ger"), language_code("ceb")
    ('en', 'pt', 'de', 'ceb')
    """
    found = _FIRST_WORD.match(name[:100])
    if not found:
        return ""
    word = found[1].lower()
    if word in _CODES:
        return _CODES[word]
    return word if len(word) == 3 and word not in ("und", "mul", "zxx") else ""


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"\W*([12]\d{3})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?(?!\d)")
_PDF = re.compile(r"D:([12]\d{3})(?:(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01]))?)?")
_WORDS = re.compile(r"(?:(\d{1,2})\.? )?([A-Z][a-z]{2})[a-z]*\.?(?: (\d{1,2}))?,? +([12]\d{3})\b")
_YEAR = re.compile(r"(?<!\d)(1[0-9]\d\d|20\d\d)(?!\d)")


def iso_date(text: str) -> str:
    """A date as ISO 8601, as exact as it was: year, month or day; empty without a year.

    >>> iso_date("June 3, 1998 [EBook #1342]"), iso_date("Jun, 1998"), iso_date("D:20210304120000Z")
    ('1998-06-03', '1998-06', '2021-03-04')
    """
    text = text[:200]
    exact = _ISO.match(text) or _PDF.match(text)
    if exact:
        return "-".join(part for part in exact.groups() if part)
    worded = _WORDS.search(text)
    if worded and worded[2].lower() in _MONTHS:
        month = f"{worded[4]}-{_MONTHS.index(worded[2].lower()) + 1:02d}"
        day = int(worded[1] or worded[3] or 0)
        return f"{month}-{day:02d}" if 1 <= day <= 31 else month
    year = _YEAR.search(text)
    return year[1] if year else ""


_SPACE = re.compile(r"\s+")
_LONGEST = 1000
"""Characters of one field of metadata."""


def tidy(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata with languages and dates in one notation, spaces single, and nothing empty.

    It takes the fields title, author, language, date and licence as a book has them.
    """
    fields = {name: _SPACE.sub(" ", text).strip()[:_LONGEST] for name, text in metadata.items()}
    if "language" in fields:
        fields["language"] = language_code(fields["language"])
    if "date" in fields:
        fields["date"] = iso_date(fields["date"])
    return {name: text for name, text in fields.items() if text}
