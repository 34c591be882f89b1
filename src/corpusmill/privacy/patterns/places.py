"""Where somebody is: street addresses, post boxes, coordinates.

Streets are recognised by the word for street and a house number, written in the order of their
language, with flat, postcode and town where these follow. Addresses without such a word need a
named-entity model.
"""

# Letters that look like others belong to languages and coordinates.

# letters that look like others belong to languages

import re
from collections.abc import Iterator
from dataclasses import replace

from corpusmill.privacy.candidates import NUMBER, Literal, literals
from corpusmill.privacy.context import in_placeholder, near, words
from corpusmill.privacy.finding import ANNOUNCED, PLAUSIBLE, SHAPED, Finding
from corpusmill.privacy.patterns.labels import CLOSE, SIGN, closes, labels
from corpusmill.privacy.recognizer import Find, Recognizer

REACH = 64
"""Characters before a street's word in which an address may begin."""

_NAME = r"[^\W\d_a-zß-öø-ÿ](?:[^\W_]|['’.-]){0,24}"
"""A word with a capital letter."""
_UNIT = (
    r"(?:,\s?\d{1,2}\s?[ºª°]\.?(?:\s?[A-Z](?![A-Za-z]))?)?"
    r"(?:(?:[,\s]\s?){1,2}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Room|Floor|Fl|Building|Bldg|Box|App"
    r"|Wohnung|Whg|Piso|Int|lok|m|kv|кв)\.?\s?#?\s?\w{1,6}|,?\s#\s?\w{1,6})?"
)
_TAIL = (
    rf"(?:[,\s]{{1,4}}(?:[A-Z]{{1,2}}-)?\d{{4,6}}(?:\s[A-Z]{{2}}(?![A-Za-z]))?(?:\s{_NAME}){{1,3}}"
    rf"|[,\s]{{1,4}}\d{{2}}-\d{{3}}(?:\s{_NAME}){{1,3}}"
    rf"|(?:[,\s]{{1,4}}{_NAME}(?:\s{_NAME}){{0,3}}){{0,2}}[,\s]{{1,4}}(?:[A-Z]{{2}}[,\s]{{1,3}})?"
    rf"(?:\d{{5}}(?:-\d{{3,4}})?|[A-Z]{{1,2}}\d[A-Z0-9]?\s?\d[A-Z]{{2}}|[A-Z]\d[A-Z]\s\d[A-Z]\d)"
    rf"(?![\w])(?:[,\s]{{1,3}}(?:USA|UK|United\s(?:States|Kingdom)|Canada))?)?"
)
"""Postcode and town, or town, region and postcode."""
_AFTER = re.compile(_UNIT + _TAIL)
_HOUSE = r"\d{1,5}\s?(?:[A-Za-z](?![A-Za-z]))?(?:\s?[-/]\s?\d{1,4}\s?[A-Za-z]?(?![A-Za-z]))?"

_NUMBER_FIRST = re.compile(
    rf"(?<![\w.,/$€£%+-])(?!00)\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,5}})?,?\s"
    rf"(?:(?:of\s|the\s)?(?:{_NAME}|\d{{1,3}}(?:st|nd|rd|th))\s){{1,5}}\Z"
)
_ENGLISH = (
    "street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq"
    "|terrace|parkway|pkwy|highway|hwy|way|circle|crescent|close|grove|gardens|mews|row|trail|hill"
    "|walk|plaza|squares|loop|alley|path|pike|turnpike|rise|green"
)
_DIRECTION = re.compile(r"\.?(?:\s(?:NE|NW|SE|SW|N|S|E|W|North|South|East|West)\b)?")


def english_streets(text: str, start: int, end: int) -> Iterator[Finding]:
    """`12 Main Street, Apt 4, Springfield, IL 62704`."""
    if not text[start].isupper():
        return
    before = _NUMBER_FIRST.search(text, max(0, start - REACH), start)
    if before is None or text[end : end + 1].islower():
        return
    found = _with_tail(text, before.start(), _end_of(_DIRECTION, text, end), "english_streets")
    # A full stop may be the sentence's: with it, a pseudonym would be another value.
    yield replace(found, end=found.end - 1) if text[found.end - 1] == "." else found


_FRENCH = "rue|avenue|av|boulevard|bd|place|chemin|allée|impasse|quai|cours|route|square|passage"
_FRENCH_NUMBER = re.compile(r"(?<![\w.,/-])\d{1,4}(?: ?(?:bis|ter|quater|[A-D]))?,? \Z")
_OF = r"(?:de[ \u00a0]la|de[ \u00a0]l['’]|de|du|des|d['’]|la|le|les|l['’]|et|à)[ \u00a0]?"
_FRENCH_NAME = re.compile(rf"[ \u00a0](?:{_OF})?{_NAME}(?:[ \u00a0-](?:{_OF})?{_NAME}){{0,4}}")


def french_streets(text: str, start: int, end: int) -> Iterator[Finding]:
    """`12 bis, rue de la Paix, 75002 Paris`."""
    before = _FRENCH_NUMBER.search(text, max(0, start - 14), start)
    name = _FRENCH_NAME.match(text, end, end + 80)
    if before and name and not (text[start:end].isupper() and name[0].isupper()):
        yield _with_tail(text, before.start(), name.end(), "french_streets")


_SUFFIXES = (
    "straße|strasse|str.|weg|platz|gasse|allee|ring|ufer|damm|chaussee"  # German
    "|straat|laan|plein|gracht|kade|dijk|singel|steeg"  # Dutch
    "|gatan|gata|vägen|väg|torget|gränd|gade|vej|veien|vegen|veg|gate|plass|plads|allé"  # Nordic
    "|allén|stigen|backen|markt|haven|hof|kaai"
    "|katu|tie|kuja|polku|tori"  # Finnish
    "|utca|tér"  # Hungarian
)
_STREET_NAME = re.compile(
    rf"(?<![\w])(?:(?:{_NAME}|am|an|der|den|im|zum|zur|in|de|van|het)[ -]){{0,3}}(?:{_NAME})?\Z"
)
_SUFFIX_HOUSE = re.compile(rf"\.?,? {{1,2}}(?:nr\.? ?)?{_HOUSE}(?!\w|[.,]\d)", re.IGNORECASE)
_WEAK_SUFFIXES = frozenset(
    "ring|gate|gade|tie|tér|tori|gata|veg|damm|dijk|str.|markt|haven|hof".split("|")
)
"""Endings of many other words (spring, aggregate): count with a postcode and a town."""


_PLACED = re.compile(
    r"(?:Am|Im|Zum|Zur|An der|Auf der)\b|.{3,}-[A-Z]\w+\Z|[A-ZÄÖÜ][a-zäöüß]{4,20}str\.\Z"
)
"""`Am Alten Markt`, `Kaiser-Wilhelm-Ring`, `Goethestr.`: streets whatever they end with."""


def suffixed_streets(text: str, start: int, end: int) -> Iterator[Finding]:
    """`Hauptstraße 12a, 10115 Berlin`, `Lange Gracht 3`, `Puruntie 82`."""
    house = _SUFFIX_HOUSE.match(text, end, end + 24)
    if house is None:
        return
    before = _STREET_NAME.search(text, max(0, start - 40), start)
    if before is None or not (before[0] or text[start].isupper()):
        return
    name = text[before.start() : end]
    if len(name) < 6 or not (name[0].isupper() or name.split()[-1][0].isupper()):
        return
    finding = _with_tail(text, before.start(), house.end(), "suffixed_streets")
    weak = text[start:end].lower() in _WEAK_SUFFIXES and not _PLACED.match(name)
    if finding.end > house.end() or not weak:
        yield finding


_PREFIXES = (
    "via|viale|piazza|piazzale|corso|largo|vicolo|strada|calle|c/ |avenida|avda|av.|plaza|paseo"
    "|camino|ronda|carrer|rua|travessa|praça|alameda|estrada|rodovia|ul.|ulica|al.|aleja|ulice"
    "|strada|bulevardul|carrera|transversal|plac|osiedle|pl. |os. |улица|ул.|проспект"
    "|пр-т|пер.|вул."
)
_PREFIXED_NAME = re.compile(
    r"\.?\s?(?:\d{1,2}\s(?:de\s)?|(?:św|gen|ks|dr|prof)\.\s)?(?:(?:de\slas?|de\slos|del|della"
    r"|delle|dei|degli|dell['’]|di|do|da|dos|das|de|san"
    rf"|santa)\s?)?{_NAME}(?:\s(?:(?:de\sla|del|della|dei|di|do|da|dos|das|de|e"
    rf"|y)\s)?{_NAME}){{0,4}}"
    rf",?\s(?:n[.º°]{{0,2}}\s?|nº\s?|núm\.?\s?|д\.?\s?|nr\.?\s?|s/)?{_HOUSE}(?!\w|[.,]\d)"
)


_POLISH = frozenset(("ulica", "aleja", "plac", "osiedle"))


def prefixed_streets(text: str, start: int, end: int) -> Iterator[Finding]:
    """`Via Roma 12, 00184 Roma`, `Calle de Alcalá, 45`, `ul. Długa 5/7`, `ул. Ленина, д. 5`."""
    name = _PREFIXED_NAME.match(text, end, end + 100)
    plain = text[start].isupper() or "." in text[start : end + 1] or text[start] > "z"
    if name and (plain or text[start:end] in _POLISH):
        yield _with_tail(text, start, name.end(), "prefixed_streets")


_BOX = re.compile(r"\.?\s{0,2}(?:n[.º°]\s?)?\d{1,6}(?:\s\d{2,3})?(?!\w|[.,]\d)")


def boxes(text: str, start: int, end: int) -> Iterator[Finding]:
    """`P.O. Box 1234, Springfield, IL 62704`, `Postfach 12 34`."""
    number = _BOX.match(text, end, end + 16)
    if number:
        yield _with_tail(text, start, number.end(), "boxes")


_FRENCH_HOUSE = re.compile(rf",? {_HOUSE}(?!\w|[.,]\d| ?[%€$])")


def french_streets_with_number_last(text: str, start: int, end: int) -> Iterator[Finding]:
    """`rue du Midi 126, 1000 Bruxelles`, as in Belgium and Switzerland."""
    name = _FRENCH_NAME.match(text, end, end + 80)
    house = name and _FRENCH_HOUSE.match(text, name.end(), name.end() + 12)
    if house and not text[start:end].isupper():
        yield _with_tail(text, start, house.end(), "french_streets_with_number_last")


_TURKISH_HOUSE = re.compile(
    r"\.?,?\s{1,2}No\s?[:.]?\s?\d{1,4}(?:\s?/\s?\d{1,3})?(?!\w|[.,]\d)", re.IGNORECASE
)


def turkish_streets(text: str, start: int, end: int) -> Iterator[Finding]:
    """`Atatürk Caddesi No: 12, 34000 İstanbul`."""
    house = _TURKISH_HOUSE.match(text, end, end + 20)
    name = house and _STREET_NAME.search(text, max(0, start - 48), start)
    if house and name and name[0]:
        yield _with_tail(text, name.start(), house.end(), "turkish_streets")


_ADDRESS_LABELS = (
    "home address|postal address|street address|shipping address|billing address|mailing address"
    "|adresse|anschrift|wohnhaft|wohnadresse|domicile|adresse postale|dirección|domicilio"
    "|indirizzo|residenza|morada|endereço|adres|woonadres|adres zamieszkania|adress|postadress"
    "|hemadress|bostadsadress|ev adresi|iş adresi|adresi|osoite|bydliště|lakcím"
)
_LABELLED_STREET = re.compile(
    rf"(?=[ \t]{{0,2}}[:=|<>\"*\t])(?:{SIGN}{{1,8}}+)"
    rf"({_NAME}(?: (?:(?:de|des|du|den|der|van|la|del|di|da)(?: la)? )?{_NAME}){{0,4}}"
    rf",? {_HOUSE})"
    r"(?!\w|[.,]\d)"
)


def labelled_streets(text: str, start: int, end: int) -> Iterator[Finding]:
    """`Anschrift: Unter den Linden 74`, `<adres>Oude Markt 3</adres>`: no word for street."""
    street = _LABELLED_STREET.match(text, end, end + 120)
    if street and not (in_placeholder(text, start, end) or closes(text, start)):
        yield _with_tail(text, street.start(1), street.end(), "labelled_streets")


_UNIT_ALONE = re.compile(r"\.?\s#?\d{1,5}[A-Z]?(?!\w|[.,]\d)")


def units(text: str, start: int, end: int) -> Iterator[Finding]:
    """`Apt. 595`, `Suite 501`, with the town that follows."""
    number = _UNIT_ALONE.match(text, end, end + 9)
    if number and text[start].isupper():
        yield _with_tail(text, start, number.end(), "units")


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


_NUMBER_BEFORE = re.compile(r"(?<![\w.,/$€£%-])\d{1,6}[A-Za-z]? \Z")


def _with_tail(text: str, start: int, end: int, recognizer: str) -> Finding:
    """The street with a number before it, and what follows: flat, postcode, town."""
    if number := _NUMBER_BEFORE.search(text, max(0, start - 9), start):
        start = number.start()
    after = _AFTER.match(text, end, end + 120)
    stop = after.end() if after else end
    score = SHAPED if stop > end else PLAUSIBLE
    return Finding(start, stop, "STREET_ADDRESS", score, recognizer)


_MILITARY = re.compile(
    r"(?:(?:PSC|CMR|Unit|UNIT|unit)\s\d{1,5},?\s(?i:box)\s\d{1,5}"
    r"|US[NSC]\w{0,3}\s\w{2,20}(?:\s\w{2,20})?)"
    r"[,\s]{1,3}\Z"
)
_MILITARY_REGION = re.compile(r"\s(?:AA|AE|AP|aa|ae|ap)\s\d{5}(?:-\d{4})?")


def military_boxes(text: str, start: int, end: int) -> Iterator[Finding]:
    """`PSC 1234, Box 5678, APO AE 09012` (USPS publication 28, section 238)."""
    region = _MILITARY_REGION.match(text, end, end + 14)
    if region:
        before = _MILITARY.search(text, max(0, start - 50), start)
        begin = before.start() if before else start
        yield Finding(begin, region.end(), "STREET_ADDRESS", SHAPED, "military_boxes")


_ANGLE = (
    r"\d{1,3}(?:[.,]\d{1,8})?\s?°\s?(?:\d{1,2}(?:[.,]\d{1,4})?\s?['′’]\s?"
    r"(?:\d{1,2}(?:[.,]\d{1,4})?\s?(?:[\"″”]|''|′′)\s?)?)?"
)
_DEGREES = re.compile(
    rf"[+-]?{_ANGLE}[NSns](?:orth|outh)?[,;\s/]{{0,4}}[+-]?{_ANGLE}[EWOewo](?:ast|est)?(?![A-Za-z])"
    rf"|[NS]\s?{_ANGLE}[,;\s/]{{0,4}}[EWO]\s?{_ANGLE}"
)
_DECIMAL_PAIR = re.compile(
    r"(?<![0-9A-Za-z_.])[+-]?(?:[0-8]?\d|90)\.\d{3,15}[\"']?\s?°?\s?[NS]?\s{0,2}[,;/]?\s{0,2}"
    r"(?:[\"']?(?:lon\w{0,8}|lng)[\"']?\s?[:=]?\s?)?[\"']?[+-]?(?:1[0-7]\d|\d?\d|180)\.\d{3,15}"
    r"(?![0-9A-Za-z_]|\.\d)"
)
_HEMISPHERES = re.compile(
    r"(?<![0-9A-Za-z_.])(?:[0-8]?\d|90)\.\d{3,15}\s?[NS][,;/\s]{1,3}(?:1[0-7]\d|\d?\d"
    r"|180)\.\d{3,15}\s?[EWO](?![0-9A-Za-z])"
)
"""`16.83271N 79.44176E`: no word is needed."""
_PLACE_LABELS = (
    "coordinates|coordinate gps|gps|geolocation|latitude|latlng|lat lng|lat lon|location|position"
    "|koordinaten|koordinater|koordinatlar|standort|coordonnées|coordenadas|coordinate|localisation"
    "|ubicación|posición|posizione|localizzazione|localização|posição|coördinaten|locatie"
    "|współrzędne|położenie|lokalizacja|konum|plats|sijainti|koordinaatit|souřadnice|координаты"
    "|местоположение|坐标|座標|좌표|निर्देशांक|الإحداثيات|إحداثيات|συντεταγμένες|พิกัด"
    "|treffpunkt|meeting point|rendez vous|punto de encuentro|punto d'incontro|ritrovo"
    "|buluşma|ponto de encontro|mötesplats|miejsce spotkania|место встречи"
)
_PLACE_WORDS = words(
    r"lat\w*|lon\w*|lng|gps|coord\w*|geo\w*|koordinat\w*|coordonn\w*|coorden\w*|location|position"
    r"|wsp[óo]łrz\w*|координат\w*|座標|坐标|좌표|निर्देशांक|إحداثيات"
)
_ANNOUNCED_PAIR = re.compile(
    rf"(?i:{CLOSE}|[^\n:\d]{{0,30}}:\s?)(?:geo:"
    rf"|(?:lat\w{{0,8}}[\"']?\s?[:=]?\s?))?({_DECIMAL_PAIR.pattern})"
)
_PAIR_AFTER_SIGN = re.compile(rf"[\"']?\s?[:=]?\s?[\"']?({_DECIMAL_PAIR.pattern})")
_STANDS = re.compile(r"\b(?:at|near|bei|à|en|em|a|op|na|vid|hos|bij|vicino a|près de) \(?\Z")
"""Before a pair of as many decimals as only places have."""
_ON_A_MAP = re.compile(r"://[^\s<>\"']{0,60}map[^\s<>\"']{0,50}[@=/]\Z|\b(?:ll|mlat|center)=\Z")
_EXACT_PAIR = re.compile(r"[+-]?\d{1,2}\.(\d{4,7})(?:, ?| )[+-]?\d{1,3}\.(\d{4,7})")
_NUMBER_AROUND = re.compile(r"\s?[,;]\s?[+-]?\d")


def announced_pairs(text: str, start: int, end: int) -> Iterator[Finding]:
    """`Standort: 47.05123,15.43811`, `geo:-4.84296,86.32367`, `lat: 8.82957, lon: -101.38287`."""
    signs = text[start:end].lower() in ("geo:", "lat", "latitude")
    match = (_PAIR_AFTER_SIGN if signs else _ANNOUNCED_PAIR).match(text, end, end + 120)
    if match and not (in_placeholder(text, start, end) or closes(text, start)):
        yield Finding(*match.span(1), "COORDINATES", ANNOUNCED, "announced_pairs")


_ONE_AXIS = re.compile(
    r"[\"']?(?: {0,3}content)?\s{0,2}[:=>]\s{0,2}[\"']?([+-]?(?:1[0-7]\d|\d?\d)\.\d{4,15})(?![\w.])"
)


def one_axis(text: str, start: int, end: int) -> Iterator[Finding]:
    """`GPSLatitude=48.85837`, `"longitude": 2.29448`: each axis for itself."""
    if match := _ONE_AXIS.match(text, end, end + 40):
        yield Finding(*match.span(1), "COORDINATES", ANNOUNCED, "one_axis")


def degrees(text: str, start: int, end: int) -> Iterator[Finding]:
    """`40°26′46″N 79°58′56″W` and the like, around a degree sign."""
    for match in _DEGREES.finditer(text, max(0, start - 8), start + 60):
        if match.start() <= start < match.end():
            yield Finding(*match.span(), "COORDINATES", SHAPED, "degrees")


def decimal_degrees(text: str, start: int, end: int) -> Iterator[Finding]:
    """`40.712776, -74.005974` near a word such as latitude or GPS."""
    for signed in _HEMISPHERES.finditer(text, max(0, start - 16), min(len(text), end + 40)):
        if signed.start() <= start < signed.end():
            yield Finding(*signed.span(), "COORDINATES", SHAPED, "decimal_degrees")
            return
    dot = text.find(".", start, start + 4)
    if dot < 0 or end - dot < 4:
        return
    begin = _PAIR_BEFORE.search(text, max(0, start - 24), start)
    match = _DECIMAL_PAIR.match(text, begin.start() if begin else start)
    if match is None or match.end() < end:
        return
    span = match.span()
    exact = _EXACT_PAIR.fullmatch(match[0])
    placed = exact and len(exact[1]) == len(exact[2]) and not _NUMBER_AROUND.match(text, span[1])
    if (
        near(text, *span, _PLACE_WORDS, before=40, after=24)
        or (placed and _STANDS.search(text, max(0, span[0] - 14), span[0]))
        or (exact and _ON_A_MAP.search(text, max(0, span[0] - 120), span[0]))
    ):
        yield Finding(*span, "COORDINATES", ANNOUNCED, "decimal_degrees")


_PAIR_BEFORE = re.compile(r"(?<![0-9A-Za-z_.])[+-]?(?:\d{1,2}\.\d{3,15}\s?[,;/]\s{0,2}[+-]?)?\Z")


def _street(find: Find, *triggers: Literal) -> Recognizer:
    return Recognizer(
        name=find.__name__, entities=("STREET_ADDRESS",), find=find, literals=triggers
    )


RECOGNIZERS = (
    _street(english_streets, *literals(_ENGLISH, right=True, digit_before=True)),
    _street(french_streets, *literals(_FRENCH, right=True, digit_before=True)),
    _street(
        french_streets_with_number_last,
        *literals(
            "rue|avenue|boulevard|bd|chemin|allée|impasse|quai|faubourg",
            right=True,
            digit_after=True,
        ),
    ),
    _street(
        turkish_streets,
        *literals(
            "caddesi|cadde|cad|cd|sokak|sokağı|sok|sk|bulvarı|bulvar|blv|mahallesi",
            right=True,
            digit_after=True,
        ),
    ),
    _street(labelled_streets, *labels(_ADDRESS_LABELS, right=True, digit_after=True)),
    _street(suffixed_streets, *literals(_SUFFIXES, left=False, right=True, digit_after=True)),
    _street(prefixed_streets, *literals(_PREFIXES, right=True, digit_after=True)),
    _street(
        boxes,
        *literals(
            "p.o. box|po box|p.o.box|p. o. box|post office box|postfach|boîte postale|apartado"
            "|postbus|apartado de correos|casella postale|caixa postal|skrytka pocztowa|а/я",
            digit_after=True,
        ),
    ),
    _street(military_boxes, *literals("apo|fpo|dpo", right=True, digit_after=True)),
    _street(units, *literals("apt|apartment|suite", right=True, digit_after=True)),
    Recognizer(name="degrees", entities=("COORDINATES",), find=degrees, literals=literals("°")),
    Recognizer(
        name="one_axis",
        entities=("COORDINATES",),
        find=one_axis,
        literals=(
            *literals("latitude|longitude", left=False, right=True, digit_after=True),
            *literals("lat|lon|lng", right=True, digit_after=True),
        ),
    ),
    Recognizer(
        name="announced_pairs",
        entities=("COORDINATES",),
        find=announced_pairs,
        literals=(
            *labels(_PLACE_LABELS, digit_after=True),
            *literals("geo:|lat", right=True, digit_after=True),
        ),
    ),
    Recognizer(
        name="decimal_degrees", entities=("COORDINATES",), find=decimal_degrees, kinds=(NUMBER,)
    ),
)
