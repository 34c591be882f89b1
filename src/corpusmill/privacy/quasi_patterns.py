"""Which phrases tell something of a person? The patterns of quasi-identifiers in running text.

PHRASES speak of a person by themselves; HINTS mean one only where something else does. In English,
and the commonest in German, French and Spanish. A space stands for a few of them, and every pattern
is bounded, so that time is linear in the text. The group `v` is the value.
"""

import re

from corpusmill.privacy.nationalities import NATIONALITIES
from corpusmill.privacy.quasi_values import DATE, FULL_DATE, SHORT_DATE, TEENS, TENS, UNITS


def pattern(text: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern in which a space (outside of brackets) stands for up to six of them."""
    spaced = re.sub(r"(?<!\[) (\??)", lambda m: " {0,6}" if m[1] else " {1,6}", text)
    return re.compile(spaced, re.IGNORECASE if ignore_case else 0)


_SPELT = rf"(?:(?:{'|'.join(TENS)})(?:[ -](?:{'|'.join(UNITS)}))?|{'|'.join(TEENS)})"
_YEARS = rf"(?:\d{{1,3}}|{_SPELT})"
GROWN = r"(?:1[6-9]|[2-9]\d)"
"""A bare number that may be an age."""
NAME = r"[^\W\d_a-zß-öø-ÿ][\w'\u2019&-]{0,40}"
"""A word with a capital letter."""
ORGANISATION = (
    rf"(?:the )?(?:St\. )?{NAME}"
    rf"(?:(?: | & | and | of | of the | of St\. | for |, (?={NAME},? (?:and|&) )){NAME}){{0,6}}"
    r"(?:(?<=Co)\. (?:KGaA|KG|OHG|mbH)| mbH)?"
)
ADJECTIVE = "(?:" + "|".join(
    re.escape(word).replace(r"\ ", "[ -]") for word in sorted(NATIONALITIES, key=len, reverse=True)
) + ")"  # fmt: skip
_ADJECTIVE_OR_WORD = (
    rf"(?:(?:{'|'.join(sorted({w.split()[0] for w in NATIONALITIES if ' ' in w}))})[ -])?"
    r"[^\W\d_]{3,20}"
)
"""What may be an adjective of a country: its value is looked up, which is ten times as fast."""
PLACE = (
    rf"{NAME}(?:(?:[ -]|[ -](?:de|do|da|dos|del|di|la|le|les|el|am|an der|upon|on|sur|aan|op)[ -])"
    rf"{NAME}){{0,3}}"
)
"""What may be the name of a place, and more words behind it."""
TITLE = (
    r"(?:[A-Z][\w'-]{1,20}(?: [A-Z][\w'-]{1,20}){1,4}"
    r"|[^\W\d_][\w'-]{1,20}(?: [^\W\d_A-Z][\w'-]{1,20}){0,5})"
)
_STATES = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]"
    "|T[NX]|UT|V[AT]|W[AIVY]"
)
_NO_AGE = (
    r"(?! ?(?:%|percent|per|of|out|[kcm]?m\b|kg|pounds|minutes|hours|days|weeks|months|miles|metres"
    r"|meters|feet|points|inches|years (?!old|of age)))"
)

PHRASES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("age", pattern(rf"\b(?P<v>{_YEARS})[ -]years?[ -](?:old\b|of age\b)", ignore_case=True)),
    (
        "age",
        pattern(
            rf"\b(?:aged?|turn(?:s|ed|ing)?)(?:: ?| of | is | just | )(?P<v>{_YEARS})\b{_NO_AGE}",
            ignore_case=True,
        ),
    ),
    ("age", pattern(r"\b(?P<v>\d{1,3})(?: ?yo\b| ?y/o\b| ?y\.o\.| ?yrs?\.? old\b)")),
    ("age", pattern(r"\b(?P<v>\d{1,3})(?:st|nd|rd|th) birthday\b")),
    (
        "occupation",
        pattern(
            r"\ban? (?P<v>[a-z][\w'/-]{1,30}(?: [a-z(][\w'/)-]{1,20}){0,4}) by"
            r" (?:trade|profession|training)\b",
            ignore_case=True,
        ),
    ),
    (
        "age",
        pattern(
            rf"\b(?:man|woman|boy|girl|lady|gentleman) of (?:about |around )?"
            rf"(?P<v>{_YEARS})\b{_NO_AGE}"
        ),
    ),
    (
        "age",
        pattern(
            r"\bin (?:his|her|my|their) (?:early |mid |mid-|late )?"
            r"(?P<v>[2-9]0s|(?:twen|thir|for|fif|six|seven|eigh|nine)ties)\b"
        ),
    ),
    ("age", pattern(r"(?<![\w.])(?P<v>\d{2})(?= ?[FM][,/;)])")),
    ("sex", pattern(r"(?<![\w.])\d{2} ?(?P<v>[FM])(?=[,/;)])")),
    ("age", pattern(r"\((?:[FM] ?|[fm])(?P<v>\d{2})(?=[,)])")),
    (
        "age",
        pattern(r"(?<![\w.])(?P<v>\d{1,3}) ?(?:y\.?o\.?|y/o|yrs?|years?)[ -](?:old )?(?=[FMfm]\b)"),
    ),
    (
        "age",
        pattern(
            rf"\b(?:M(?:r|rs|s|iss)\.? {NAME}|(?:[Ss]ingle|[Mm]arried|[Dd]ivorced|[Ww]idowed"
            r"|[Tt]his)"
            rf" (?:wo)?man)(?:,? is|,| of) (?P<v>{GROWN}|{_SPELT})(?=[,.;]| and\b| years?\b)"
        ),
    ),
    ("age", pattern(rf"\b(?:[Aa]t|[Nn]ow) (?P<v>{GROWN}|{_SPELT})(?=, {NAME})", ignore_case=False)),
    (
        "age",
        pattern(
            rf"\b(?P<v>{GROWN}|{_SPELT})(?= to be exact| last birthday"
            r"| years? (?:young\b|on this))",
        ),
    ),
    (
        "age",
        pattern(rf"\b(?:dead|died|passed away|passed|dies) (?:at|aged) (?P<v>{_YEARS})\b{_NO_AGE}"),
    ),
    (
        "age",
        pattern(rf"\b(?:will be|turning|reached|reaches) (?P<v>{GROWN})(?= (?:in|on|this|next) )"),
    ),
    ("age", pattern(r"\b(?P<v>\d{1,3})(?:[ -]Jahre alt\b|-?jährige?[nrs]?\b)")),
    ("age", pattern(r"\b(?:im Alter von|mit) (?P<v>\d{1,3})(?= Jahren\b)")),
    (
        "age",
        pattern(
            r"\b(?:âgée? de|l['\u2019]âge de|elle a|il a|ai|tiene|tengo|de|los) (?P<v>\d{1,3})"
            r" (?:ans|años)\b",
            ignore_case=True,
        ),
    ),
    (
        "age",
        pattern(
            r"\b(?:she|he|i)(?: is| was| am|['\u2019][sm])(?: just| only| now| already)?"
            rf" (?P<v>{GROWN}|{_SPELT})\b{_NO_AGE}",
            ignore_case=True,
        ),
    ),
    (
        "birth_date",
        pattern(
            r"\b(?:born|née?|d\.?o\.?b\.?|date of birth|birth ?date|birthday|year of birth"
            r"|geboren|geb\.|geburtsdatum|nacid[oa]|nació|fecha de nacimiento|date de naissance)"
            r"(?!\w)"
            rf"[^\d\n;]{{0,40}}?\b(?P<v>{DATE}|{SHORT_DATE})(?!\w)",
            ignore_case=True,
        ),
    ),
    ("birth_date", pattern(rf"(?:\bb\.|\*) ?(?:on )?(?P<v>{DATE})(?!\w)", ignore_case=True)),
    (
        "sex",
        pattern(
            r"\b(?P<v>female|male|woman|man|girl|boy|lady|gentleman|mr|mrs|ms|miss|she|hers|herself"
            r"|her|he|him|his|himself|daughter|son|wife|husband|widow|widower)\b",
            ignore_case=True,
        ),
    ),
    ("sex", pattern(r"\b(?:[Ss]ex|[Gg]ender)(?:: ?| is | )(?P<v>[FMfm])\b")),
    (
        "postcode",
        pattern(
            r"\b(?:post ?code|postal code|zip(?: code)?|plz|code postal|código postal)\b"
            r"(?:: ?| is | was | )(?P<v>(?=[A-Z -]{0,8}\d)[A-Z0-9]{2,10}(?:[ -][A-Z0-9]{2,5})?)\b",
            ignore_case=True,
        ),
    ),
    ("postcode", pattern(r"\b(?P<v>[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2})\b")),
    ("postcode", pattern(r"\b(?P<v>[A-Z]\d[A-Z] \d[A-Z]\d)\b")),
    ("postcode", pattern(rf"\b(?:{_STATES}),? (?P<v>\d{{5}}(?:-\d{{4}})?)\b")),
    (
        "nationality",
        pattern(
            rf"\b(?:nationality|citizenship)(?:: ?| is | was | )(?P<v>{ADJECTIVE})\b",
            ignore_case=True,
        ),
    ),
    (
        "nationality",
        pattern(
            rf"\b(?P<v>{_ADJECTIVE_OR_WORD})[ -](?:national|citizen|nationality|citizenship"
            r"|passport|origin"
            r"|born|descent|by birth|woman|man|girl|boy|lady|gentleman)\b",
            ignore_case=True,
        ),
    ),
    (
        "employer",
        pattern(
            r"\b(?:(?:[Ee]mployer|[Bb]oss)(?: is| at)?[:,]? |(?:works?|worked|working|employed"
            r"|job|position|career"
            r"|hired|recruited)\b[^.\n:;]{0,60}? (?:at|for|by|with) )"
            rf"(?P<v>{ORGANISATION})"
        ),
    ),
    (
        "employer",
        pattern(
            r"\b(?:arbeitet|arbeite|angestellt|beschäftigt|travaille|employée?|trabaj[ao]"
            r"|empleada|empleado)\b[^.\n:;]{0,60}? (?:bei|für|chez|pour|à|en|para|por) "
            rf"(?P<v>(?:der |dem |la |le |el )?{ORGANISATION})"
        ),
    ),
)
"""Attribute and pattern."""

CUES = pattern(
    r"\b(?:curriculum vitae|r\u00e9sum\u00e9|obituary|survived by|in loving memory|passed away"
    r"|bid farewell"
    r"|slipped away|passing of|remembering|funeral|mourn(?:s|ed)?|swipe right|would like to meet"
    r"|seeks (?:wo)?m[ae]n|looking for (?:someone|somebody)|about me|my name is|name'?s"
    r"|i'?m an?|i am an?|by trade|by profession"
    r"|contact|applicant|claimant|respondent|interviewee|defendant|patient|pt"
    r"|first ?name|surname|last ?name"
    r"|given ?name|family ?name|full name|marital status|date of birth|personal details"
    r"|presents with|complains of|(?:his|her) (?:life|work|job|career|family|boss|employer))\b",
    ignore_case=True,
)
"""What is said of people only, in short texts."""
_NO_EMPLOYERS = (
    "a|an|the|home|her|his|their|our|my|your|its|least|night|nights|all|many|some|most|day|both"
    "|more|over|about|now|any|various|several|local|large|years|months|example|free|that|this"
    "|which|whom|us|them|him|me|everyone|everybody|people|two|three|four|five|different|other"
)
_NO_FIRMS = (
    "they|who|and|company|then|she|which|by|with|forces|together|up|later|dem|der|den|einem|einer"
    "|uns|ihr|ihm|mir|dir|elle|lui|moi|nous|vous|eux|une|les|des|again|first|has|had|was|have"
)
_FIRM = "(?:Inc|Ltd|LLC|GmbH|AG|SA|Corp|Corporation|PLC|plc|Limited|Company|Group|Sons)"
_HEADS = "University|College|Hospital|School|Institute|Ministry|Bank|Museum|Academy|City Council"
HINTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "age",
        pattern(
            rf"(?:[,(:;|\u2013\u2014-] ?|\b(?:at|of|now|is|was|am|only|just|already|ist|est) "
            rf"|[\u2019'][sm] )(?P<v>{GROWN}|{_SPELT})"
            r"(?=[,.;:)|\n]|$| years(?=[.,;:)]|$)| from| and| when | he | she | I | they | y[,)])",
            ignore_case=True,
        ),
    ),
    ("age", pattern(r"\b(?P<v>\d{1,3}) (?:ans|años|Jahre)\b")),
    ("birth_date", pattern(rf"(?<!\w)(?P<v>{FULL_DATE})(?!\w)", ignore_case=True)),
    ("birth_date", pattern(r"\((?P<v>1[89]\d\d|20\d\d) ?[\u2013\u2014-] ?(?:1[89]|20)\d\d\)")),
    ("postcode", pattern(r"\b(?P<v>[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2})\b")),
    ("postcode", pattern(r"\b(?P<v>[A-Z]\d[A-Z]\d[A-Z]\d|[1-9]\d{3} ?[A-Z]{2})\b")),
    (
        "postcode",
        pattern(
            r"(?<![\w.,$\u20ac\u00a3#/-])(?P<v>\d{5}(?:-\d{3,4})?|\d{3}-\d{4}|\d{4}-\d{3}"
            r"|\d{2}-\d{3}|\d{6}|[A-Z]\d{2} [A-Z\d]{4})(?![\w/%]|[.,-]\d)"
        ),
    ),
    ("postcode", pattern(rf"[,:;|(\n] ?(?P<v>\d{{4}}) (?={NAME})")),
    ("postcode", pattern(rf"\b(?P<v>[03-9]\d{{3}}) (?={NAME})")),
    (
        "employer",
        pattern(
            r"\b(?:[Jj]oin(?:s|ed|ing)?|[Ll]eft|[Ll]eaving|[Qq]uit|bei|chez|[Ee]mployees? of"
            rf"|[Ss]taff of|(?:time|days|salary) (?:at|from)|[Ww]ith|[Ff]or|[Aa]t) "
            rf"(?P<v>{ORGANISATION})"
        ),
    ),
    (
        "employer",
        pattern(
            rf"\b(?:joins?|joined|moved|poached)(?: us| them)? (?:from|to) (?P<v>{ORGANISATION})"
        ),
    ),
    ("employer", pattern(rf"\b(?:works?|worked|working|employed) in (?P<v>{ORGANISATION})")),
    ("employer", pattern(rf"\b(?P<v>{NAME}, {NAME},? (?:and|&) {NAME})\b")),
    (
        "employer",
        pattern(
            rf"\b(?P<v>{ORGANISATION})['\u2019]s? (?=[^.\n]{{0,40}}?\b(?:office|team|branch|staff))"
        ),
    ),
    (
        "employer",
        pattern(
            r"\b(?:joined|bei|chez) "
            rf"(?P<v>(?!(?:{_NO_EMPLOYERS}|{_NO_FIRMS})\b)[a-z][\w&'-]{{2,30}})"
        ),
    ),
    (
        "employer",
        pattern(
            rf"\b(?P<v>(?!(?:{_NO_EMPLOYERS}|{_NO_FIRMS})\b)[a-z][\w&'-]{{2,30}})"
            r" (?:hired|employs|employed|recruited) (?:him|her|me)\b"
        ),
    ),
    (
        "employer",
        pattern(
            rf"\b(?P<v>{ORGANISATION}) (?:hire|employ|recruit|pay)(?:s|ed|d)? (?:him|her|me|{NAME})"
        ),
    ),
    (
        "employer",
        pattern(
            r"\b(?:works?|worked|working|employed)(?: as [^.\n;,]{1,40}?)? (?:at|for|by) "
            rf"(?P<v>(?!(?:{_NO_EMPLOYERS})\b)[a-z][\w&'-]{{2,30}}|the [a-z][\w&'-]{{2,30}})"
        ),
    ),
    (
        "employer",
        pattern(
            rf"\b(?P<v>(?:St\. )?(?:{NAME} ){{0,3}}(?:{_HEADS})(?: (?:of|for)(?: the)? {NAME}"
            rf"(?: {NAME}){{0,2}})?)\b"
        ),
    ),
    (
        "employer",
        pattern(rf"\b(?P<v>(?:{NAME} |& |and ){{1,4}}{_FIRM})\b"),
    ),
)
"""Attribute and pattern."""

CITY = pattern(
    r"\b(?:in|from|near|around|(?:[Rr]esident|native|citizen|city|town|outside) of|(?:moved|to) to"
    r"|to|[Ii]n|[Ff]rom|à|en|de|aus|nach|at|[Cc]ity:|[Tt]own:|[Rr]esidence:|[Hh]ometown:"
    rf"|[Ll]ocation:|\d{{4,5}}) (?:the )?(?P<v>{PLACE})"
)
RESIDENCE = pattern(
    r"\b(?:(?P<home>[Ll]iv(?:es|ed|ing)|I live|[Rr]esid(?:es|ed|ing)|[Rr]esident|[Gg]rew up|[Bb]orn"
    r"|[Dd]welling|[Nn]ative|address)|[Hh]ails|[Cc]omes|[Oo]riginally|[Ss]ettled|[Cc]ommutes)"
    r"(?: and (?:raised|works?)| on [\w., ]{4,20}?)??"
    rf" (?:in|from|of|near|at|outside)(?: the)?(?: [A-Z0-9]{{0,4}}\d[A-Z0-9 ]{{2,8}},?)?"
    rf" (?P<v>{PLACE})"
)
"""Where somebody lives or comes from."""
ANYWHERE = pattern(
    rf"(?:\b(?:[Ii]n|[Ff]rom|[Nn]ear|[Oo]utside|[Aa]round|[Aa]cross|(?:formerly|people|half|moved)"
    rf" (?:of|to)|,? aged \d\d,? of|(?:\d,?|{NAME},?) of|[Bb]ut) (?:the )?(?P<v>{PLACE})"
    rf"|(?<![\w-])(?P<w>{PLACE})(?=-based| area\b| resident| native\b)"
    rf"|\b(?P<x>{PLACE}),? (?=(?:[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}}|\d{{5}})(?!\w))"
    rf"|(?:[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}}|\b\d{{5}}),? (?P<y>{PLACE}))"
)
"""Where a place stands, whichever it is."""
TOWN_LIKE = pattern(
    r"(?<![\w'-])(?P<v>(?:North|South|East|West|New|Lake|Port|Bad|Saint|St\.?|San|Santa|Upper|Lower"
    r"|Great|Little|Fort|Mount|Old) [A-Z\u00c0-\u00de][\w'-]{1,24}(?: [A-Z][\w'-]{1,24})?"
    r"|[A-Z\u00c0-\u00de][\w-]{1,20}(?:ville|town|mouth|stad|burg|burgh|berg|bury|borough|shire|port"
    r"|view|fort|furt|land|chester|haven|side|dorf|hausen|heim|stadt|ingen|walde|wick|wall|bridge"
    r"|m\u00fchlen|kirchen|leben|stedt|br\u00fcck|thorpe|ton|ham))(?![\w'-])"
)
"""What is called as towns are."""
CAPITALISED = pattern(rf"(?<![\w'\u2019-])(?P<v>{PLACE})")
EXPLICIT_TITLE = pattern(
    r"\b(?:(?:work(?:s|ed|ing)?|employed|job|career|position|trained|training|living|hired"
    r"|qualified|retired|started|serv(?:es?|ed|ing)|practi[sc](?:es|ed|ing)|role|engaged)"
    r"(?: [a-z-]{2,12})?? as(?P<article> an?| the)?"
    r"|\b(?:[Oo]ccupation|[Pp]rofession|(?:[Hh]is|[Hh]er|[Mm]y) (?:role|job))(?: is|:)(?: an?)?"
    r"|\boccupation"
    r"|arbeitet(?: [a-zäöü]{2,12})?? als(?: eine?)?|travaille comme|trabaja (?:como|de)) "
    rf"(?P<v>{TITLE})"
)
NO_TITLES = frozenset(
    "expected intended designed usual well before advertised described planned follows if long "
    "soon far such it one part both either being root though of about in on at to by with without "
    "or and that this more up out under over from when where who his her their not".split()
)
"""Words behind "works as" that are none."""
AFTER_TITLE = pattern(
    r" (?:at|for|in|with|by|and|who|from|on|of|near|since|until|when|while|but|or|bei|für|chez|à"
    r"|en|para|und|et|y|is|was|has|turned|joined)\b.*"
)
IMPLIED_TITLE = pattern(
    rf"\b(?:is|was|am|been|became|become|old|[\u2019'][sm]|{ADJECTIVE})(?: an?| the)?"
    r" (?P<v>(?:[A-Za-z][a-z'-]{1,20} ){0,4}[a-z][a-z'-]{1,20})"
)
NAMED_TITLE = pattern(
    r"\b(?:[Oo]ur|[Tt]he|[Mm]y|[Hh]er|[Hh]is|[Tt]heir|[Ll]ocal|[Ff]ormer|[Rr]etired)"
    rf" (?P<v>[a-z][\w'-]{{1,20}}(?: [a-z][\w'-]{{1,20}}){{0,2}}) (?={NAME})"
)
_CRAFT = r"(?:er|or|ist|ian|man|woman|wright|smith|eer)"
CRAFT = pattern(
    r"(?:\b(?:an?|[Oo]ur|old|as|retired|former)|\dyo|y/o|\d,)"
    rf" (?P<v>(?:[a-z]{{2,20}} ){{0,2}}[A-Za-z][\w-]{{2,20}}{_CRAFT})\b"
    rf"|[,|(] ?(?P<x>(?:[a-z]{{2,20}} ){{0,2}}[a-z]{{2,20}}{_CRAFT})(?= ?[,|.)])"
    rf"|\b(?:is|was|been|am) (?P<w>[a-z]{{3,20}}{_CRAFT}|[A-Z][a-z]{{1,15}}[A-Z][a-z]{{0,15}}er)\b"
)
"""A noun that sounds like an occupation, where one stands."""
CELL_TITLE = pattern(
    r"(?:^|[,|(\n.:;\"\u2022\u00b7>]|\n- ) ?"
    r"(?P<v>[A-Za-z][a-z/'-]{1,20}(?: [a-z][a-z/'-]{1,20}){0,3})"
    r"(?= ?(?:$|[,|)\n.;:\"<\u00b7-]))"
)
"""The same as a cell of a row, a line or a short sentence of its own."""
SOUNDS = re.compile(rf"{_CRAFT}$")
REST_OF_TITLE = re.compile(
    r"(?:/[a-z][a-z'-]{1,20}){1,3}(?: [a-z]{2,20}(?:er|or|ist|ian))?| \([a-z ]{3,40}\)"
)
"""conservator/restorer; legal executive (england and wales)."""
FIELD_OF_TITLE = pattern(
    r"(?:, | ?\(|/)(?P<v>(?:and )?[a-z][a-z'/&-]{1,20}(?: [a-z(][a-z'/&-]{1,20}){0,4}?)\)?"
    r"(?=$|[.,;:\n\"|)<(]| [(/]?(?:at|for|with|from|in|based|who|by|until|here|was|is|has"
    r"|and|or|when|since|on|of|to|go|spoke|works|lives|whose)\b| [A-Z(\u2013-])"
)
"""What a title is about, behind it."""
UNKNOWN_TITLE = pattern(
    r"\b(?:[Hh]e|[Ss]he|I|(?!(?:It|This|That|There|What|Here)\b)[A-Z][\w'-]{1,20})(?:,? \d\d,)?"
    rf"(?: is| was| am| became|['\u2019][sm])(?: also| now)? an? (?:{ADJECTIVE} )?"
    r"(?P<v>[a-z][\w'-]{1,20}(?: (?!(?:at|in|for|with|who|from|by|of|to|and|that|on)\b)"
    r"[a-z][\w'-]{1,20}){0,4})"
    r"(?= (?:at|by (?:profession|trade)|based|living|working|employed)\b|[,.;]? (?:and|who)?"
    r" ?(?:works|lives)\b)"
)
"""What somebody is, where a place of work or a home follows."""
NO_CRAFTS = frozenset(
    "member father mother brother sister daughter number matter letter order user former later "
    "never ever either other another rather whether winner owner answer computer paper power "
    "summer winter water center factor color error error vector man woman human partner teenager "
    "stranger under over after however together longer older younger larger smaller bigger better "
    "her for per further quarter chapter supporter lover believer voter beginner foreigner "
    "newcomer widower vegetarian christian survivor neighbor senior junior minor major "
    "superior prior author's list twist exist employer fever customer weather dinner "
    "monitor floor door behavior favor corner".split()
)
MORE_OF_TITLE = pattern(
    r" (?P<v>(?!(?:for|or|after|under|over|her|other|former|later|never|ever|per|whether|rather"
    r"|woman|man)\b)"
    r"[a-z]{2,20}(?:er|or|ist|ian|ant|man|woman))\b"
)
INTRODUCED = pattern(
    rf"(?:[\w)],? ?[,(] ?|\b(?:[Aa]t|[Nn]ow) )(?:aged )?(?P<v>{GROWN})(?=[,)]| y[,)])"
)
"""A number that is an age where an occupation stands beside it."""
AT_FIRM = pattern(
    r" (?:at|for|with|bei|chez) "
    rf"(?P<v>{ORGANISATION}|(?!(?:{_NO_EMPLOYERS}|{_NO_FIRMS})\b)[a-z][\w&'-]{{2,30}})"
    rf"| ?[|@,] (?P<w>{ORGANISATION})"
)
"""Behind an occupation."""
AFTER_AGE = pattern(r"[,)],? (?:an? )?(?P<v>[a-z][\w'-]{2,20}(?: [a-z][\w'-]{2,20}){0,2})(?=[,.])")
BEFORE_NATIONALITY = pattern(r"(?:\b[Hh]e|\b[Ss]he|\bI|[\w)]) ?(?: is| was| am|['\u2019][sm]) $")
CRAFT_AHEAD = pattern(rf" (?P<v>(?:[a-z]{{2,20}} ){{0,3}}[A-Za-z][\w-]{{2,20}}{_CRAFT})\b")
AFTER_NATIONALITY = pattern(r" ?(?:[.,;|)\n]|$)|(?: and | who | by | but | living | based )")
NO_PERSON = pattern(
    r"(?:[ -](?:language|lessons?|food|cuisine|restaurant|literature|government|army|navy|forces"
    r"|empire|war|cit(?:y|ies)|town|embassy|law|version|translation|history|Open|Revolution)\b)"
)
"""What an adjective of a country belongs to where it is nobody's."""
ARTICLE = re.compile(r"\b(?:an?|[Tt]he) {1,6}$")
BEFORE_TITLE = frozenset("a an the as is was am been occupation profession role job".split())
"""Words that a title begins behind."""
NO_PART_OF_TITLE = frozenset(
    "retired former current young local well now very just also of in at or and by to for on who "
    "with from her his my our their that this he she it not old good great new first".split()
)
"""Words that are no part of the title behind them."""
LAST_WORD = re.compile(r"(?<![\w'/-])[^\W\d_][\w'/-]{0,40}(?= {1,6}$)")
LANGUAGE = re.compile(r"\b(?:speaks?|spoke|in|into|fluent|language|learn\w{0,3}|from|the) {1,6}$")
