"""Addresses in networks: e-mail, IP, MAC, and URLs that carry somebody's data."""

import functools
import ipaddress
import re
from collections.abc import Iterator
from enum import Enum

from corpusmill.privacy.candidates import HEX, NUMBER, Literal, literals
from corpusmill.privacy.context import near, words
from corpusmill.privacy.finding import CHECKED, SHAPED, Finding
from corpusmill.privacy.recognizer import Recognizer


@functools.cache
def _top_level_domains() -> frozenset[str]:
    """The last labels of the public suffix list, from the copy inside tldextract's package."""
    import tldextract

    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None).tlds
    return frozenset(suffix.rpartition(".")[2] for suffix in suffixes)


def _is_top_level(label: str) -> bool:
    label = label.casefold()
    if label.startswith("xn--"):
        try:
            label = label.encode("ascii").decode("idna")
        except UnicodeError:
            return False
    return label in _top_level_domains()


_MARKS = "\u0300-\u036f"
"""Accents as characters of their own (Unicode's form NFD)."""
_LOCAL_PART_BACKWARDS = re.compile(rf"[\w.+'%{_MARKS}-]{{1,64}}|\"[^\"@\n=<>]{{1,62}}\"")
"""What local parts hold in practice. RFC 5321 allows `/`, `=`, `?` and more; in text these stand
before an address, as in https://host/?to=somebody@host."""
_DOMAIN = re.compile(
    rf"(?:[^\W_](?:[\w{_MARKS}-]{{0,61}}[^\W_]|[\w{_MARKS}-]{{0,61}}[{_MARKS}])?[.\u3002]){{1,8}}"
    r"([^\W\d_][\w-]{0,61}[^\W_])"
)
_ADDRESS_LITERAL = re.compile(r"\[(?:\d{1,3}\.){3}\d{1,3}\]|\[IPv6:[0-9A-Fa-f:.]{2,45}\]")
"""A host without a name (RFC 5321, section 4.1.3)."""
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORDS_BEFORE = re.compile(rf"[{_UNSPACED}]+(?=[A-Za-z0-9])")
_WORDS_AFTER = re.compile(rf"(?<=[A-Za-z])[{_UNSPACED}]")
"""Thai, Japanese, Chinese and Korean go on without a space: `邮箱是jane@host.org`."""
_NO_MAILBOX = frozenset(["git", "hg", "svn"])
"""Accounts of version control in addresses such as git@github.com."""


def emails(text: str, start: int, end: int) -> Iterator[Finding]:
    """An address around an at sign: up to 64 characters before it, 255 after it (RFC 5321)."""
    domain = _ADDRESS_LITERAL.match(text, end) or _DOMAIN.match(text, end, end + 255)
    local = domain and _LOCAL_PART_BACKWARDS.match(text[max(0, start - 64) : start][::-1])
    if not local or not domain:
        return
    begin = start - len(local[0].rstrip(".'%-+"))
    stop = domain.end()
    if words_before := _WORDS_BEFORE.match(text, begin, start):
        begin = words_before.end()
    if text[end] != "[" and (words_after := _WORDS_AFTER.search(text, end, stop)):
        stop = words_after.start()
    if text[stop : stop + 1] == "@":
        stop = _end_of_glued(text, end, stop)
    if text[begin - 1 : begin] == "@":
        begin = _end_of_glued(text, begin, start)
    while text[end] != "[" and not _is_top_level(re.split(r"[.\u3002]", text[end:stop])[-1]):
        # "mail me@host.com.I will": go back to the label before.
        stop = max(text.rfind(".", end, stop), end)
        if stop == end or "." not in text[end:stop]:
            return
    if begin < start and text[begin:start].lower() not in _NO_MAILBOX:
        yield Finding(begin, stop, "EMAIL_ADDRESS", CHECKED, "emails")


def _end_of_glued(text: str, start: int, end: int) -> int:
    """Where a domain ends that the next address is joined to, in `jane@corp.comjane@corp.com`."""
    dot = text.rfind(".", start, end)
    for stop in range(end, dot + 2, -1):
        if dot > start and _is_top_level(text[dot + 1 : stop]):
            return stop
    return end


_AT = (
    r"\s?[\[({<]\s?(?:at|a|ät|arroba|@)\s?[\])}>]\s?|\s(?:at|ät|arroba|arobase|@)\s|@"
    r"|[-_]at[-_]|&#(?:64|x40|0?64);|&commat;|%40"
)
_DOT = (
    r"\s?[\[({<]\s?(?:dot|punkt|punto|point|\.)\s?[\])}>]\s?|\s(?:dot|punkt|punto|point|ponto)\s"
    r"|(?<=[a-z0-9])\s\.\s(?=[a-z])|[-_]dot[-_]|&#(?:46|x2e);|\."
)
_SPELLED_AT = re.compile(_AT, re.IGNORECASE)
_SPELLED_DOMAIN = re.compile(
    rf"((?:[^\W_](?:[\w-]{{0,40}}[^\W_])?(?:{_DOT})){{1,4}})((?:(?![{_UNSPACED}])[^\W\d_]){{2,24}})"
    rf"(?!(?![{_UNSPACED}])[^\W_]|[-_]\w)",
    re.IGNORECASE,
)
_SPELLED_LOCAL_PART = re.compile(
    rf"(?<![\w+-])(?<!\w\.)[\w+-]{{1,40}}?(?:(?:{_DOT})[\w+-]{{1,40}}){{0,3}}\Z", re.IGNORECASE
)
_DOTS = frozenset(["dot", "punkt", "punto", "point", "."])
_IN_CODE = tuple("([{=")
_SPELLED_REACH, _SPELLED_LOCAL_REACH = 100, 64
_MAIL_WORDS = words(r"e-?mails?|mail|contact|reach|write|address|correo|courriel|schreib\w*")


def spelled_emails(text: str, start: int, end: int) -> Iterator[Finding]:
    """`name at host dot org`, `name [at] host (dot) org`, `name at gmail.com`."""
    # From a spelled dot, the at sign before it is looked for; else this is the at sign.
    dot = text[start:end].strip(" [](){}<>-_").lower() in _DOTS
    reach = _SPELLED_REACH if dot else 1
    for at in _SPELLED_AT.finditer(text, max(0, start - reach), end + 1):
        domain = _SPELLED_DOMAIN.match(text, at.end(), at.end() + _SPELLED_REACH)
        if not domain or domain.end() <= start or not _is_top_level(domain[2]):
            continue
        plain_dots = not re.search(r"\w\s|[\])}>]", domain[1])
        if at[0] == "@" and plain_dots:
            continue
        if at[0].strip() == "@" and text[domain.end() : domain.end() + 1] in _IN_CODE:
            continue  # a product of matrices
        before = max(0, at.start() - _SPELLED_LOCAL_REACH)
        local = _SPELLED_LOCAL_PART.search(text, before, at.start())
        if not local:
            continue
        words_before = _WORDS_BEFORE.match(local[0])
        span = local.start() + (words_before.end() if words_before else 0), domain.end()
        # "look at gmail.com": a sentence, unless the local part looks like one.
        sentence = at[0].strip().isalpha() and plain_dots and local[0].isalpha()
        if sentence and not near(text, *span, _MAIL_WORDS):
            continue
        yield Finding(*span, "EMAIL_ADDRESS", SHAPED, "spelled_emails")


EXAMPLE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
"""Reserved for documentation: RFC 5737 and RFC 3849."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_LINK_LOCAL = ipaddress.ip_network("fe80::/10")
"""The last half is often made from the MAC address (RFC 4862)."""
_WORD_GOES_ON = re.compile(r"[0-9A-Za-z]")
_ZONE = re.compile(r"%[A-Za-z0-9][\w.-]{0,15}")
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|versions|release|releases|update|build|firmware|kernel|section|sections"
    r"|chapter|appendix|clause|figure|table|rule|annex|oid|ver|sec|rev|v|r|see|in)\b"
    r"[.:=]?\s{0,2}|§\s?|\b(?:upgrad|updat|patch|bump)[a-z]{0,3} (?:\S{1,10} )?(?:to"
    r"|from) (?:\S{1,10} )?)"
    r"[\"'(]?\Z",
    re.IGNORECASE,
)
_ADDRESS_WORDS = words(
    r"ip(?:v4|v6)?(?:[-_ ]addr\w*)?|ips|client(?:[-_ ]?ip)?|host|remote_addr|x-forwarded-for"
    r"|adresse ip|ip-adresse|direcci[óo]n ip|indirizzo ip"
)
_MAPPED = re.compile(r"(?<![\w:])(?:0{0,4}:){2,6}ffff:\Z", re.IGNORECASE)
"""Before an IPv4 address: as IPv6 writes it (RFC 4291, section 2.5.5.2)."""
_IPV4 = re.compile(
    r"(?<![0-9A-Za-z_.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:/(?:3[0-2]|[12]?[0-9])(?![0-9]))?"
    r"(?![0-9A-Za-z_]|[.-]\w)"
)
_IN_A_DRAWING = re.compile(r"\d?\.\d+[ -]-?\d?\.\d+ \Z")
"""Decimal fractions before four numbers with dots: a path of SVG."""
_IPV6 = re.compile(r"[0-9A-Fa-f:]{3,40}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?:/[0-9]{1,3})?")


LEAST_OCTET = 40
"""Numbers of sections and versions are mostly below; all four of one address in 1,600 are."""


class _Standing(Enum):
    NOBODY, DOUBTFUL, SOMEBODY = range(3)


@functools.lru_cache(maxsize=4096)
def _standing(value: str) -> _Standing:
    """Whether the address could be somebody's: 10.3.7.12 only where a word says address."""
    try:
        address = ipaddress.ip_interface(value).ip
    except ValueError:
        return _Standing.NOBODY
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return _Standing.NOBODY
    public = address.is_global or any(address in network for network in EXAMPLE_NETWORKS)
    if not public and (address.packed[3] in (0, 1, 255) or "/" in value):
        return _Standing.NOBODY
    if not public or all(octet < LEAST_OCTET for octet in address.packed):
        return _Standing.DOUBTFUL
    return _Standing.SOMEBODY


def ipv4(text: str, start: int, end: int) -> Iterator[Finding]:
    """Public addresses, and those reserved for documentation, which stand for public ones. Private
    and other reserved ranges single nobody out, unless a word announces somebody's address.

    Refused: four numbers that are part of a longer one (1.2.3.4.5), that follow a word such as
    version or section, or that are all below LEAST_OCTET.
    """
    if text.count(".", start, end) < 3:
        return
    for match in _IPV4.finditer(text, start, min(len(text), end + 3)):
        begin, stop = match.span()
        standing = _standing(match[0])
        if standing == _Standing.NOBODY:
            continue
        doubtful = standing == _Standing.DOUBTFUL or _VERSION_BEFORE.search(
            text, max(0, begin - 40), begin
        )
        if doubtful and not near(text, begin, begin, _ADDRESS_WORDS, before=24, after=0):
            continue
        if text[max(0, begin - 1) : begin] in ("-", "_", "+", "\\"):
            continue
        if _IN_A_DRAWING.search(text, max(0, begin - 16), begin):
            continue
        if mapped := _MAPPED.search(text, max(0, begin - 36), begin):
            begin = mapped.start()
        yield Finding(begin, stop, "IP_ADDRESS", SHAPED, "ipv4")


def hexadecimal(text: str, start: int, end: int) -> Iterator[Finding]:
    """MAC addresses, and IPv6 addresses of eight groups or of the global unicast block 2000::/3:
    most of what looks like a short one elsewhere is a name in source code (`Face::`)."""
    sign = text[start + 2 : start + 3]
    if (sign in ":-" and end - start == 17) or text[start + 4 : start + 5] == ".":
        after = text[end : end + 2]
        if not (
            (after[:1].isascii() and after[:1].isalnum())
            or (after[:1] in ("-", ":") and after[1:].isalnum())
        ):
            digits = re.sub(r"\W", "", text[start:end]).lower()
            if len(set(digits)) > 2:
                yield Finding(start, end, "MAC_ADDRESS", SHAPED, "hexadecimal")
        return
    match = _IPV6.match(text, start, start + 64)
    if not match:
        return
    value = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
    try:
        address = ipaddress.ip_interface(value).ip
    except ValueError:
        return
    stop = start + len(value)
    written_out = value.count(":") == 7 and "::" not in value and len(set(value)) > 4
    local = address in _LINK_LOCAL and value.count(":") >= 4
    if zone := _ZONE.match(text, stop):
        stop = zone.end()
    if (written_out or local or address in _GLOBAL_UNICAST) and not _WORD_GOES_ON.match(text, stop):
        yield Finding(start, stop, "IP_ADDRESS", SHAPED, "hexadecimal")


_SCHEME = re.compile(r"(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]{1,20}\Z")
_REST = re.compile(r"[^\s<>\"'`\\^{}|\u3000-\u3002\uff0c]{1,2000}")
_TRAILING = ".,;:!?)]*_"
_USER = re.compile(r"([^/?#@:]{0,100})(?::([^/?#@]{0,200}))?@[^/?#@]")
_PARAMETER = re.compile(r"[?&;#]([A-Za-z_.\[\]-]{2,30})=([^&;#\s]{1,1000})")
_PERSONAL = re.compile(
    r"(?:user_?|customer_?|contact_?|my_?)?(?:e-?mail(?:_?address)?|phone(?:_?number)?|mobile"
    r"|ssn|full_?name|first_?name|last_?name|login|username|user_?name|user)",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?:access_?|auth_?|refresh_?|session_?|csrf_?|id_?|api_?|bearer_?|reset_?|x-amz-)*"
    r"(?:token|key|session(?:_?id)?|sid|phpsessid|jsessionid|signature|sig|secret|passw(?:or)?d"
    r"|pwd|credential|uid|user_?id|otp|code|auth)",
    re.IGNORECASE,
)
_USER_IN_QUERY = re.compile(r"[?&;]user=[^&;=]{3,80}[&;]password=[^&;]{4,200}")
_INVENTED = re.compile(
    r"[$<%*]|\.\.\.|x{3,}\Z|(?-i:[A-Z_]{3,}|[A-Z]?[a-z_]{3,})\Z|\*+|\w*passw(?:or)?d\Z|(?:user"
    r"|username|usr|name|login|me|you|foo|bar|guest"
    r"|pass|passw(?:or)?d|pw|pwd|secret|token|key|value|true|false|null|none|string"
    r"|anonymous|git|hg|svn|joe|test|admin|root|postgres|mysql|scott|tiger|proxy\w*|your\w*|my\w*"
    r"|example|\w{1,2})\d*\Z",
    re.IGNORECASE,
)


def urls(text: str, start: int, end: int) -> Iterator[Finding]:
    """A URL with a user in its authority, or somebody's data in its query."""
    scheme = _SCHEME.search(text, max(0, start - 21), start)
    rest = _REST.match(text, end)
    if not scheme or not rest:
        return
    address = rest[0].rstrip(_TRAILING)
    told = _has_user(address) or _USER_IN_QUERY.search(address)
    if told or any(map(_tells, _PARAMETER.findall(address))):
        yield Finding(scheme.start(), end + len(address), "URL", SHAPED, "urls")


def _has_user(address: str) -> bool:
    user = _USER.match(address)
    if not user:
        return False
    name, password = user.groups()
    if password is not None and password:
        return not (_INVENTED.match(password) and (not name or _INVENTED.match(name)))
    return name != "" and not _INVENTED.match(name)


def _tells(parameter: tuple[str, str]) -> bool:
    name, value = parameter
    if _INVENTED.match(value):
        return False
    if _PERSONAL.fullmatch(name):
        return len(value) >= 3
    varied = len(value) >= 12 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return varied and _SECRET.fullmatch(name) is not None


RECOGNIZERS = (
    Recognizer(
        name="emails", entities=("EMAIL_ADDRESS",), literals=(Literal("@", tight=True),),
        find=emails,
    ),
    Recognizer(
        name="spelled_emails", entities=("EMAIL_ADDRESS",),
        literals=literals(
            "[at]|(at)| @ |{at}|<at>|[@]|(@)|[ at ]|( at )|(a)|[ät]|(ät)|[arroba]|(arroba)"
            "| at gmail.| at hotmail.| at yahoo.| at outlook.| at icloud.| at gmx.| at proton"
            "|[a]| ät | arobase |&#64;|&#x40;|&commat;|%40|-dot-|_dot_"
            "|[dot]|(dot)|{dot}|<dot>| dot |[.]|(.)|[punkt]|(punkt)| punkt |[punto]|(punto)"
            "| punto |(point)|[point]"
        ),
        find=spelled_emails,
    ),
    Recognizer(name="ipv4", entities=("IP_ADDRESS",), kinds=(NUMBER,), find=ipv4),
    Recognizer(
        name="hexadecimal", entities=("MAC_ADDRESS", "IP_ADDRESS"), kinds=(HEX,), find=hexadecimal,
    ),
    Recognizer(name="urls", entities=("URL",), literals=(Literal("://", tight=True),), find=urls),
)  # fmt: skip
