"""Secrets in code and prose: keys and tokens of documented formats, private keys, passwords.

The formats are those that issuers document, so that leaks can be found; each begins with letters of
its own, by which the scan finds it. What has no format is found after a word that says secret, when
it looks drawn at random.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from corpusmill.privacy.candidates import Literal, literals
from corpusmill.privacy.context import in_placeholder
from corpusmill.privacy.finding import ANNOUNCED, CHECKED, SHAPED, Finding
from corpusmill.privacy.patterns.labels import TAG, closes, labels
from corpusmill.privacy.recognizer import Recognizer

KEY_FORMATS: tuple[tuple[str, str, str], ...] = (
    ("AWS", "AKIA|ASIA|AGPA|AIDA|AROA|ANPA", r"[A-Z2-7]{16}"),
    ("GitHub", "ghp_|gho_|ghu_|ghs_|ghr_", r"[A-Za-z0-9]{36,251}"),
    ("GitHub", "github_pat_", r"[A-Za-z0-9_]{22,255}"),
    ("GitLab", "glpat-|glptt-|gldt-|glrt-|glcbt-", r"[A-Za-z0-9_-]{20,64}"),
    ("Slack", "xoxb-|xoxp-|xoxa-|xoxr-|xoxs-|xapp-", r"[A-Za-z0-9-]{20,250}"),
    ("Slack", "hooks.slack.com/services/", r"T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,30}"),
    ("Stripe", "sk_live_|sk_test_|rk_live_|rk_test_|pk_live_", r"[A-Za-z0-9]{20,250}"),
    ("Stripe", "whsec_", r"[A-Za-z0-9+/=]{24,64}"),
    ("Google", "AIza", r"[A-Za-z0-9_-]{35}"),
    ("Google", "ya29.", r"[A-Za-z0-9_-]{30,500}"),
    ("Google", "GOCSPX-", r"[A-Za-z0-9_-]{28}"),
    ("npm", "npm_", r"[A-Za-z0-9]{36}"),
    ("PyPI", "pypi-AgE", r"[A-Za-z0-9_-]{40,500}"),
    ("OpenAI", "sk-proj-|sk-svcacct-|sk-None-", r"[A-Za-z0-9_-]{40,250}"),
    ("OpenAI", "sk-", r"[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48}"),
    ("Anthropic", "sk-ant-", r"[A-Za-z0-9_-]{60,200}"),
    ("Hugging Face", "hf_", r"[A-Za-z0-9]{34,40}"),
    ("SendGrid", "SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("DigitalOcean", "dop_v1_|doo_v1_|dor_v1_", r"[a-f0-9]{64}"),
    ("Shopify", "shpat_|shpca_|shppa_|shpss_", r"[A-Fa-f0-9]{32}"),
    ("Square", "sq0atp-|sq0csp-", r"[A-Za-z0-9_-]{22,43}"),
    ("Docker", "dckr_pat_", r"[A-Za-z0-9_-]{27}"),
    ("HashiCorp", "hvs.|hvb.", r"[A-Za-z0-9_-]{24,200}"),
    ("Databricks", "dapi", r"[a-f0-9]{32}(?:-\d)?"),
    ("Linear", "lin_api_", r"[A-Za-z0-9]{40}"),
    ("New Relic", "NRAK-", r"[A-Z0-9]{27}"),
    ("Postman", "PMAK-", r"[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34}"),
    ("Age", "AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),
    ("Alibaba", "LTAI", r"[A-Za-z0-9]{12,30}"),
    ("Facebook", "EAACEdEose0cBA", r"[A-Za-z0-9]{20,250}"),
    ("Atlassian", "ATATT3xFfGF0", r"[A-Za-z0-9_=-]{100,250}"),
    ("Twilio", "SK", r"[a-f0-9]{32}"),
    ("Mailgun", "key-", r"[a-f0-9]{32}"),
    ("Grafana", "glsa_|glc_", r"[A-Za-z0-9+/=_]{32,200}"),
    ("Discord", "discord.com/api/webhooks/", r"\d{17,20}/[A-Za-z0-9_-]{60,80}"),
    ("xAI", "xai-", r"[A-Za-z0-9]{70,100}"),
    ("Groq", "gsk_", r"[A-Za-z0-9]{48,60}"),
    ("Perplexity", "pplx-", r"[A-Za-z0-9]{40,60}"),
    ("Replicate", "r8_", r"[A-Za-z0-9]{36,40}"),
    ("Sentry", "sntrys_|sntryu_", r"[A-Za-z0-9+/=_]{40,400}"),
    ("Notion", "secret_", r"[A-Za-z0-9]{43}"),
    ("Notion", "ntn_", r"[A-Za-z0-9]{40,50}"),
    ("Figma", "figd_", r"[A-Za-z0-9_-]{38,60}"),
    ("Airtable", "pat", r"[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    ("Square", "EAAA", r"[A-Za-z0-9_-]{56,64}"),
    ("Doppler", "dp.pt.|dp.st.|dp.ct.|dp.sa.", r"[A-Za-z0-9._-]{40,70}"),
    ("Fly.io", "fm1_|fm2_|fo1_", r"[A-Za-z0-9_+/=-]{43,800}"),
    ("PlanetScale", "pscale_tkn_|pscale_oauth_|pscale_pw_", r"[A-Za-z0-9_.=-]{32,64}"),
    ("Supabase", "sbp_|sb_secret_", r"[A-Za-z0-9_-]{20,64}"),
    ("RubyGems", "rubygems_", r"[a-f0-9]{48}"),
    ("Heroku", "HRKU-", r"[A-Za-z0-9_-]{36,70}"),
    ("Cloudflare", "v1.0-", r"[a-f0-9]{24}-[a-f0-9]{146}"),
    ("Dropbox", "sl.", r"[A-Za-z0-9_-]{130,200}"),
    ("Mapbox", "sk.", r"eyJ[A-Za-z0-9_-]{40,100}\.[A-Za-z0-9_-]{20,30}"),
    ("Pulumi", "pul-", r"[a-f0-9]{40}"),
    ("Terraform", ".atlasv1.", r"[A-Za-z0-9_=-]{60,70}"),
    ("JSON web token", "eyJ", r"[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}"
                              r"(?:\.[A-Za-z0-9_-]{10,1000})?"),
)  # fmt: skip
"""Issuer, prefixes, and what follows them: as the issuers document."""

_FORMATS = {
    prefix: re.compile(rf"(?:{following})(?![A-Za-z0-9])")
    for _, prefixes, following in KEY_FORMATS
    for prefix in prefixes.split("|")
}
_PREFIXES = sorted(_FORMATS, key=len, reverse=True)
_SAMPLE = re.compile(r"example|x{6}|0{8}|1234567|abcdefg|your|[*]{3}", re.IGNORECASE)


def keys(text: str, start: int, end: int) -> Iterator[Finding]:
    """A key of a documented format that begins with this prefix, in the prefix's own case."""
    prefix = text[start:end]
    pattern = _FORMATS.get(prefix)
    match = pattern.match(text, end) if pattern else None
    if match and not (start and text[start - 1].isalnum()) and not _repeats(match[0]):
        yield Finding(start, match.end(), "ACCESS_KEY", CHECKED, "keys")


def _repeats(value: str) -> bool:
    """Filled with one or two characters, as samples in manuals are."""
    return len(set(value)) < 6


_BLOCK_END = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_LINES = re.compile(r"(?:\s|\\[nr]|[A-Za-z0-9+/=:,.\"'#>|-])*")
LONGEST_BLOCK = 20_000
"""Characters of the largest private key block that is looked for (RSA of 16,384 bits: 13,000)."""


def private_keys(text: str, start: int, end: int) -> Iterator[Finding]:
    """A PEM or OpenPGP block, to its end or to where it was cut off."""
    begin = _BLOCK_BEGIN.match(text, start)
    if not begin:
        return
    stop = _BLOCK_END.search(text, begin.end(), begin.end() + LONGEST_BLOCK)
    if stop:
        if stop.start() - begin.end() > 40:
            yield Finding(start, stop.end(), "PRIVATE_KEY", CHECKED, "private_keys")
        return
    lines = re.compile(r"(?:\s{0,4}[A-Za-z0-9+/=]{40,80}){1,300}").match(text, begin.end())
    if lines:
        yield Finding(start, lines.end(), "PRIVATE_KEY", CHECKED, "private_keys")


_PASSWORD_LABELS = (
    "password|passwd|passphrase|passcode|pwd|kennwort|passwort|mot de passe|contraseña"
    "|palavra passe|parola d'ordine|parola|wachtwoord|hasło|hasła|lösenord|şifre|parolă|salasana"
    "|adgangskode|passord|heslo|jelszó|lozinka|mật khẩu|kata sandi|пароль|κωδικός|密码|密碼"
    "|パスワード|비밀번호|كلمة المرور|كلمة السر|סיסמה|पासवर्ड|mật mã|รหัสผ่าน|лозинка|парола"
)
_PASSWORD_WORDS = "senha|clave|kod pin|mdp|pw"
_PASSWORD_ENDS = "_pass|_pw|_psw"
"""Of names of settings: `db_pass`."""
_PASS_WORDS = "pass"
"""Other things, too: only right before a colon or `=`."""
_KEY_LABELS = (
    "secret|token|encryption key|signing key|master key|api key|apikey|access key|private key"
    "|auth key|account key|credential|bearer"
    "|api schlüssel|zugangsschlüssel|clé d'api|clé api|clé d'accès|jeton d'accès|token d'accès"
    "|token di accesso|token de acceso|token de acesso"
    "|token dostępu|zugangstoken|toegangstoken|åtkomsttoken|jeton|clave de api|clave api"
    "|clave de acceso|chiave api|chiave di accesso|chave de api|chave da api|chave api"
    "|chave de acesso|api sleutel|toegangssleutel|klucz api|klucz dostępu|api nyckel"
    "|åtkomstnyckel|api anahtar|erişim anahtar|jetonu|api avain|api nøgle|api nøkkel|klíč api"
    "|ключ api|токен|密钥|令牌|キー|トークン|토큰"
)
_PASSWORD_LITERALS = (
    *labels(_PASSWORD_LABELS, left=False),
    *labels(_PASSWORD_WORDS, right=True),
    *literals(_PASSWORD_ENDS, left=False, right=True),
    *literals(_PASS_WORDS, right=True),
)
_IS_PASSWORD = frozenset(literal.text.lower() for literal in _PASSWORD_LITERALS)

_TYPED = re.compile(
    r"(?:\b(?:sshpass|mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;&]{0,60}?\s(?:-p ?|--password[= ])"
    r"|\bcurl\b[^\n|;&]{0,80}?\s(?:-u|--user)[ =]?[\"']?[\w.@-]{1,40}:"
    r"|\b(?:docker|podman|az|helm|oc)\b[^\n|;&]{0,60}?\s-p[ =]?)[\"']?\Z"
)
"""Commands up to a password that is typed with them."""


_OPTION = re.compile(r"\s-p ?|[\w.@-]:")
_TYPED_VALUE = re.compile(r"[\"']?([^\s\"'|;&$<@/][^\s\"'|;&</]{5,80})")


def _mixed_case(value: str) -> bool:
    return any(map(str.isupper, value)) and any(map(str.islower, value))


def typed_passwords(text: str, start: int, end: int) -> Iterator[Finding]:
    """`mysql -u root -pEx4mpl3`, `sshpass -p ...`, `curl -u admin:...`."""
    line_end = text.find("\n", end, end + 160)
    line_end = min(len(text), end + 160) if line_end < 0 else line_end
    for option in _OPTION.finditer(text, end, line_end):
        value = _TYPED_VALUE.match(text, option.end(), line_end)
        if (
            value
            and _TYPED.search(text, start, option.end())
            and (_chosen(value[1]) or _short_mixed(value[1]))
            and (option[0][-1] == ":" or _mixed_case(value[1]) or not _VERSION.fullmatch(value[1]))
        ):
            yield Finding(*value.span(1), "PASSWORD", ANNOUNCED, "typed_passwords")


_BASIC = re.compile(
    r"(?<=authorization)[\"']?\s?[:=]\s?[\"']?basic\s{1,2}([A-Za-z0-9+/]{12,400}={0,2})", re.I
)
_BOT = re.compile(r"(?<![\w-])\d{8,10}:AA[A-Za-z0-9_-]{33}(?![\w-])")
"""Telegram."""
_ENTRA = re.compile(r"(?<![\w~.-])[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![\w~-])")
"""Microsoft Entra."""
_SIGNED = re.compile(r"=([A-Za-z0-9%+/_-]{40,100})(?=[&\s\"'<]|\Z)")


def inner_signs(text: str, start: int, end: int) -> Iterator[Finding]:
    """Keys that are told by signs inside of them or by a header's name."""
    for pattern in (_BOT, _ENTRA):
        for match in pattern.finditer(text, max(0, start - 12), end + 40):
            yield Finding(*match.span(), "ACCESS_KEY", CHECKED, "inner_signs")
    if basic := _BASIC.match(text, end, end + 430):
        yield Finding(*basic.span(1), "ACCESS_KEY", SHAPED, "inner_signs")
    signed = text[start:end].lower() == "sig" and _SIGNED.match(text, end, end + 110)
    if signed and _drawn(signed[1].replace("%", "")):
        yield Finding(*signed.span(1), "ACCESS_KEY", ANNOUNCED, "inner_signs")


_VERBS = (
    r"is|are|was|lautet|ist|est|es|é|è|e|är|to|auf|til|till|na|a|à|para|in|op|naar|su|dir|jest"
    r"|هي|هو|है"
)
_ASSIGNED = re.compile(
    r"(?P<rest>[\w.-]{0,24}?)(?P<of>(?: [^\W\d_]{1,14}){1,4}(?=\s?[:\uff1a]))?"
    rf"(?P<glue>(?:{TAG}|[\s\"'`*|\]\uff1a:=>]|(?<=\s)[-\u2013\u2014](?=\s)"
    rf"|(?<=\s)(?:{_VERBS})(?=[\s:])|[是为為は]){{1,12}}+)"
    r"(?:[brf][\"'])?(?P<value>[^\s\"'`<>,;(){}\[\]|]{6,200})"
)
_SET = re.compile(
    rf"[:=|\t\uff1a]|\*\*|{TAG}|\s[-\u2013\u2014]\s|\b(?:is|lautet|ist|est|es|é|è|är|jest|هي"
    rf"|है)\b|[是为為は]"
)
"""Glue that sets a value. Without it, a word and a value only stand side by side."""
_BEARER = re.compile(r"\s{1,2}([A-Za-z0-9_.~+/-]{20,400}=*)")
_INVENTED = re.compile(
    r"[$%&]\(?[A-Za-z_{(]+(?:\W|\Z)|\$|<|\.\.\.|x{4}|\*{3}|(?:[a-z_]+\.)+[a-z_]+(?!\w)"
    r"|(?:self|this|config|settings|env|process|os|args|opts|options|request|req|params|user)\."
    r"|[A-Z_]+\Z|[a-z_-]+\Z|(?:my|your|the|some)[-_]|your[a-z]"
    r"|(?:test|example|change|dummy|fake)[-_]?|(?:my|super|top)[-_]?(?:pass|pw|s[e3]cr|secure"
    r"|strong|own|new|key|app|db)"
    r"|[\w.]*(?:password|passwd|secret|token|api_?key|example)",
    re.IGNORECASE,
)
LEAST_BITS = 3.0
"""Shannon entropy in bits for each character: 16 random hexadecimal digits have some 3.3."""


def entropy(value: str) -> float:
    """Bits for each character, of the distribution of characters in the value."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def assigned_secrets(text: str, start: int, end: int) -> Iterator[Finding]:
    """What a word such as password or token is set to, if it looks drawn at random."""
    label = text[start:end].lower()
    quoted = None if label in _IS_PASSWORD else _QUOTED.match(text, end, end + 170)
    if quoted and _jumbled_signs(quoted["value"]):
        yield Finding(*quoted.span("value"), "ACCESS_KEY", ANNOUNCED, "assigned_secrets")
        return
    if label == "bearer" and (bearer := _BEARER.match(text, end, end + 460)):
        begin, value, rest, glue, of = bearer.start(1), bearer[1], "", ":", None
    elif match := _ASSIGNED.match(text, end, end + 300):
        begin, value, rest, glue, of = (
            match.start("value"),
            match["value"],
            match["rest"],
            match["glue"],
            match["of"],
        )
        quote = text[begin - 1]
        if quote in "\"'`" and text[begin + len(value) : begin + len(value) + 1] != quote:
            return
    else:
        return
    value = _NEXT_PARAMETER.split(value, maxsplit=1)[0]
    value = value.rstrip(".?:|\\*_") if text[begin - 1] not in "\"'`>" else value
    if _SAMPLE.search(value) or in_placeholder(text, start, end) or closes(text, start):
        return
    password = label in _IS_PASSWORD
    explicit = not of and _EXPLICIT.fullmatch(glue)
    if label in _ONLY_SET and not (explicit or (label == "pw" and _SET.search(glue))):
        return
    looks_drawn = _chosen(value) or _short_mixed(value) if password else _drawn(value)
    if text[begin + len(value) : begin + len(value) + 1] == "(" and text[begin - 1] not in "\"'":
        return  # a call
    if password and explicit:
        looks_drawn |= _alone(text, begin, len(value)) and _word_chosen(value)
    if not _SET.search(glue):
        looks_drawn &= not re.search(r"[*\n]", glue)
        looks_drawn &= rest.isalpha() or not rest
        looks_drawn &= _mixed(value) if password else len(value) >= LEAST_KEY_IN_PROSE
    if looks_drawn:
        entity = "PASSWORD" if password else "ACCESS_KEY"
        yield Finding(begin, begin + len(value), entity, ANNOUNCED, "assigned_secrets")


_QUOTED = re.compile(
    r"[\w.-]{0,24}[\"']?\]?\s{0,2}[:=]\s{0,2}[brf]?(?P<quote>[\"'])(?P<value>[!-~]{32,120}?)(?P=quote)"
)


def _jumbled_signs(value: str) -> bool:
    """Whether a key between quotes is of letters, digits and other signs in no order: Django's."""
    drawn = value.removeprefix("django-insecure-")
    return (
        len(re.findall(r"[^\w.,/:-]", drawn)) >= 3
        and len(re.findall(r"\d", drawn)) >= 2
        and re.search(r"[A-Za-z]{15}|://", drawn) is None
        and entropy(drawn) >= LEAST_BITS_OF_SIGNS
    )


LEAST_BITS_OF_SIGNS = 4.0
"""For each character: 50 of Django's 50 have some 4.8, source code of that length below 4."""

_ONLY_SET = frozenset((*_PASS_WORDS.split("|"), "pw"))
_EXPLICIT = re.compile(
    r"[\"'`]?\s?(?:[:\uff1a]\s{0,2}[\"'`]?|=\s?[\"'`]|=)|\s[-\u2013\u2014]\s|[*_]{0,2}:[*_]{0,2}\s"
)
"""Glue that can only set a value: a colon, or `=` before quotes or without a space."""
_LINE_ENDS = re.compile(r"[.!?\"'`]{0,2}[,;]?[ \t]{0,4}(?:\r?\n|\Z|//|#)|[;&]\w{2,20}=")
_NO_PASSWORD = frozenset(
    "string required optional hidden masked private secure secret password passwd passwort number"
    " object boolean integer varchar unknown default invalid incorrect missing expired changed"
    " forgotten protected encrypted plaintext hashed removed redacted enabled disabled wrong"
    " correct accepted sometext yourpassword mypassword prompt stdin getpass varying nullable"
    " vergessen erforderlich geheim falsch notwendig ungültig requis obligatoire oublié incorrecte"
    " obligatoria obligatorio olvidada richiesta dimenticata verplicht vergeten wymagane saknas"
    " undefined config username changeme letmein example".split()
)


def _short_mixed(value: str) -> bool:
    """Whether six or seven characters are of a letter, a digit and another sign."""
    return (
        len(value) in (6, 7)
        and re.search(r"\d", value) is not None
        and re.search(r"[A-Za-z]", value) is not None
        and re.search(r"[!#%&*+?^~@]", value) is not None
    )


def _alone(text: str, start: int, length: int) -> bool:
    """Whether nothing but a mark follows on the line: no sentence, no code."""
    return _LINE_ENDS.match(text, start + length, start + length + 12) is not None


def _word_chosen(value: str) -> bool:
    """Whether a word after `password:` may be one: not a type, not a name in source code."""
    return (
        6 <= len(value) <= 40
        and len(set(value)) >= 4
        and value.lower() not in _NO_PASSWORD
        and re.fullmatch(
            r"[A-Za-z]?[a-z]+|(?=.*[A-Za-z])(?=.*[\d!#$%&*+?^~])[!-~]+"
            r"|(?=.*[A-Z]{2}.*[a-z])[A-Za-z]+",
            value,
        )
        is not None
        and re.match(r"[$%{<*/]|.*(?:://|\.\.\.|\w\(|\*\*|\$\{)|(?i:your|my_|example|test)", value)
        is None
    )


_NEXT_PARAMETER = re.compile(r"&(?=[A-Za-z_]{1,20}=)")
"""Of a URL's query or a form."""
LEAST_KEY_IN_PROSE = 32
"""Characters of a key that stands beside its word without `:` or `=`."""
LEAST_HEXADECIMAL = 20
"""Hexadecimal digits of a key; shorter ones are mostly hashes and numbers of versions."""


def _chosen(value: str) -> bool:
    """Whether somebody or a generator may have made this password: letters with digits, or letters
    in no order of capitals and small ones."""
    if len(value) < 8 or len(set(value)) < 5 or not value.isascii() or value.count("/") > 1:
        return False
    if not any(map(str.isalpha, value)) or "://" in value:
        return False
    if any(map(str.isdigit, value)):
        return _INVENTED.match(value) is None
    return _jumbled(value)


def _jumbled(value: str) -> bool:
    """Whether capitals, small letters and signs follow each other as in no name or word."""
    if re.search(r"[a-z]{5}|[A-Z]{5}", value) or not re.search(r"[a-z]", value):
        return False
    changes = len(re.findall(r"[a-z](?![a-z])|[A-Z](?![A-Z])|[^\w](?=\w)", value))
    return changes >= 4 and re.search(r"[A-Z]{2}|[^\w.:/-]", value) is not None


_VERSION = re.compile(r"[A-Za-z]+[-_.]?[\d.]+[a-z]?|[\d.:-]+[A-Za-z]*|[a-z\d]+|[A-Z\d_-]+|0x\w+")


_SPECIAL = re.compile(r"[!#%&*+?@^~]")


def _mixed(value: str) -> bool:
    """Whether letters, digits and other signs are mixed as only in passwords."""
    if _VERSION.fullmatch(value) or "/" in value or "." in value or ":" in value:
        return False
    capitals, small = any(map(str.isupper, value)), any(map(str.islower, value))
    signs = not value.replace("_", "").isalnum()
    if not any(map(str.isdigit, value)):
        return capitals and small and _SPECIAL.search(value) is not None
    return (capitals and small) or signs


def _drawn(value: str) -> bool:
    """Whether a key looks random enough: letters and digits mixed, few repeats."""
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    if len(value) >= LEAST_KEY_IN_PROSE and _jumbled(value):
        digits += 1
    if not letters or digits < 2 or _INVENTED.match(value):
        return False
    if re.fullmatch(r"[A-Za-z0-9_+/=.~-]{16,200}", value) is None or value.count("_") > 3:
        return False
    if len(value) < LEAST_HEXADECIMAL and re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", value):
        return False
    return entropy(value) >= LEAST_BITS and value.count("/") + value.count(".") < 4


RECOGNIZERS = (
    Recognizer(
        name="keys", entities=("ACCESS_KEY",), find=keys,
        literals=tuple(Literal(prefix, left=True) for prefix in _PREFIXES),
    ),
    Recognizer(
        name="private_keys", entities=("PRIVATE_KEY",), find=private_keys,
        literals=(Literal("-----BEGIN"),),
    ),
    Recognizer(
        name="typed_passwords", entities=("PASSWORD",), find=typed_passwords,
        literals=literals("sshpass|mysql|mysqldump|mariadb|curl|docker", right=True),
    ),
    Recognizer(
        name="inner_signs", entities=("ACCESS_KEY",), find=inner_signs,
        literals=(
            *literals(":AA|Q~", left=False, tight=True), *literals("authorization|sig", right=True)
        ),
    ),
    Recognizer(
        name="assigned_secrets", entities=("ACCESS_KEY", "PASSWORD"), find=assigned_secrets,
        literals=(*_PASSWORD_LITERALS, *labels(_KEY_LABELS, left=False)),
    ),
)  # fmt: skip
