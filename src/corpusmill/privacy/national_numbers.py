"""National identity, social security and tax numbers of some fifty countries.

Check digits follow the issuing authorities' descriptions; where a number has none (US, Denmark,
Korea), ranges and dates are all there is.
"""

from collections.abc import Callable, Iterable, Sequence

from corpusmill.privacy.checks import (
    complement,
    complement_or_zero,
    luhn,
    mod_11_2,
    mod_11_10,
    remainder,
    remainder_or_zero,
    verhoeff,
    weighted,
)
from corpusmill.privacy.national import Check, NationalNumber


def _sum(
    weights: Iterable[int | str], finish: Callable[[int, int], str | None], modulus: int
) -> Check:
    """A check digit from a weighted sum."""
    numbers = tuple(map(int, weights))
    return lambda body: finish(weighted(body, numbers), modulus)


def _twice(one: Check, two: Check) -> Check:
    """Two check digits, the second of which covers the first."""

    def check(body: str) -> str | None:
        first = one(body)
        second = None if first is None else two(body + first)
        return None if first is None or second is None else first + second

    return check


def _judge(good: Callable[[str], bool]) -> Check:
    """A body that is the whole number."""
    return lambda body: "" if good(body) else None


def _ssn(body: str) -> bool:
    """Areas, groups and serials that are given out (Social Security Administration, RM 10201)."""
    return body[:3] not in ("000", "666") and body[3:5] != "00" and body[5:] != "0000"


def _itin(body: str) -> bool:
    """Groups of the Internal Revenue Service, publication 1915."""
    group = int(body[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94


def _nino(body: str) -> bool:
    return body[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _pps(body: str) -> str:
    """Ireland: weights 8 to 2; a second letter, as in old numbers of wives, counts ninefold."""
    return "WABCDEFGHIJKLMNOPQRSTUV"[weighted(body, range(8, 1, -1)) % 23]


def _pps_of_two_letters(body: str) -> bool:
    second = "WABCDEFGHI".index(body[8])
    return (
        body[7]
        == "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(body[:7], range(8, 1, -1)) + 9 * second) % 23]
    )


def _dni(body: str) -> str:
    number = body.translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


_CODICE_ODD = (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip
"""What a letter, or the digit of its place, counts in an odd place."""


def _codice(body: str) -> str:
    """Ministerial decree of 23 December 1976: odd places by a table, even ones by their order."""
    values = [int(c) if c.isdigit() else ord(c) - 65 for c in body]  # A and 0 are alike
    return chr(65 + (sum(_CODICE_ODD[v] for v in values[::2]) + sum(values[1::2])) % 26)


def _nir(body: str) -> str | None:
    """Corsica's departments 2A and 2B count as 19 and 18 (INSEE)."""
    department = {"2A": "19", "2B": "18"}.get(body[5:7], body[5:7])
    if not department.isdigit():
        return None
    return f"{97 - int(body[:5] + department + body[7:]) % 97:02d}"


def _steuer_id(body: str) -> str | None:
    """One digit stands twice or thrice in the first ten, the others once at most."""
    counts = sorted((body.count(d) for d in set(body)), reverse=True)
    return mod_11_10(body) if counts[0] in (2, 3) and counts[1] == 1 else None


def _belgian(prefix: str) -> Check:
    """For births since 2000 a 2 is put before the number: there are two entries in the table."""
    return lambda body: f"{97 - int(prefix + body) % 97:02d}"


def _hetu(body: str) -> str:
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(body[:6] + body[-3:]) % 31]


def _rodne(body: str) -> str:
    """The whole is divisible by 11; a remainder of ten was written as 0 until 1985."""
    return str(int(body) % 11 % 10)


def _isikukood(body: str) -> str:
    return remainder(weighted(body, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)), 11) or remainder_or_zero(
        weighted(body, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)), 11
    )


def _svnr(body: str) -> bool:
    """Austria: the fourth digit is the check digit."""
    return str(weighted(body, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11) == body[3]


def _cnp(body: str) -> str:
    return remainder(weighted(body, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)), 11) or "1"


def _tr(body: str) -> str:
    d = [int(c) for c in body]
    tenth = (sum(d[::2]) * 7 - sum(d[1::2])) % 10
    return f"{tenth}{(sum(d) + tenth) % 10}"


def _snils(body: str) -> str:
    return f"{weighted(body, range(9, 0, -1)) % 101 % 100:02d}"


def _rut(body: str) -> str:
    weights: Sequence[int] = (2, 3, 4, 5, 6, 7, 2, 3)[: len(body)]
    return "0123456789K"[-weighted(body[::-1], weights) % 11]


def _curp(body: str) -> str:
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    return str(-sum(alphabet.index(c) * (18 - at) for at, c in enumerate(body)) % 10)


def _abn(body: str) -> bool:
    """Australia: the first two digits are the check digits."""
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return (weighted(body, weights) - 10) % 89 == 0


def _medicare(body: str) -> bool:
    """Eight digits, the check digit, the issue of the card."""
    return str(weighted(body[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10) == body[8]


def _ird(body: str) -> str | None:
    return complement(weighted(body, (3, 2, 7, 6, 5, 4, 3, 2)), 11) or complement(
        weighted(body, (7, 4, 3, 2, 5, 2, 7, 6)), 11
    )


def _nric(body: str) -> str:
    offset = {"S": 0, "T": 4, "F": 0, "G": 4, "M": 3}[body[0]]
    rest = (weighted(body[1:], (2, 7, 6, 5, 4, 3, 2)) + offset) % 11
    letters = {"S": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
    return letters[{"T": "S", "G": "F"}.get(body[0], body[0])][rest]


def _taiwan(body: str) -> str:
    place = 10 + "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(body[0])
    total = place // 10 + place % 10 * 9 + weighted(body[1:], range(8, 0, -1))
    return str(-total % 10)


def _thai(body: str) -> str:
    return str((11 - weighted(body, range(13, 1, -1)) % 11) % 10)


_RODNE = r"rodn\S*|r\.? ?[čc]\.?"
_BALTIC = r"isikukood\S*|asmens kod\S*|person(?:as|al) (?:kod\S*|code)|personas|p\. ?k\."
_CNPJ = "6543298765432"

NATIONAL_NUMBERS = (
    # North America
    NationalNumber(
        entity="US_SSN", distinctive=("999-99-9999",),
        near_words=("999 99 9999", "999.99.9999", "999999999"),
        body="[0-8]99999999", check=_judge(_ssn), words="ssns?|ss ?#|ss no|social security|soc sec",
    ),
    NationalNumber(
        entity="US_ITIN", distinctive=("999-99-9999",), near_words=("999 99 9999", "999999999"),
        body="[9]99999999", check=_judge(_itin), words="itin|taxpayer id",
    ),
    NationalNumber(
        entity="CA_SIN", near_words=("999-999-999", "999 999 999", "999999999"),
        body="[1-79]9999999", check=luhn, words="sin|social insurance|assurance sociale|nas",
    ),
    NationalNumber(
        entity="MX_CURP", distinctive=("AAAA999999AAAAAAC9",),
        body="[A-Z][AEIOUX][A-Z][A-Z]YMD[HMX][A-Z][A-Z][B-DF-HJ-NP-TV-Z][B-DF-HJ-NP-TV-Z]"
        "[B-DF-HJ-NP-TV-Z][0-9A-Z]",
        check=_curp, words="curp",
    ),
    NationalNumber(
        entity="MX_RFC", near_words=("AAAA999999CCC",),
        body="[A-Z][A-Z][A-Z][A-Z]YMD[0-9A-Z][0-9A-Z][0-9A]", words="rfc|registro federal",
    ),
    # The British Isles
    NationalNumber(
        entity="UK_NHS", near_words=("999 999 9999", "999-999-9999", "9999999999"),
        body="999999999", check=_sum(range(10, 1, -1), complement, 11), words="nhs",
    ),
    NationalNumber(
        entity="UK_NINO",
        distinctive=(
            "AA999999A", "AA 99 99 99 A", "AA 999999 A", "AA-99-99-99-A", "AA 999999A",
        ),
        body="[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]999999[A-D]", check=_judge(_nino),
        words="national insurance|nino|ni",
    ),
    NationalNumber(
        # Also temporary and mistyped ones, near a word.
        entity="UK_NINO", near_words=("AA999999A", "AA 99 99 99 A", "AA 999999 A", "AA-99-99-99-A"),
        body="[A-Z][A-Z]999999[A-Z]", words="national insurance|nino|ni",
    ),
    NationalNumber(
        entity="IE_PPS", near_words=("9999999A", "9999999 A"), body="9999999", check=_pps,
        words="ppsn?|personal public service",
    ),
    NationalNumber(
        entity="IE_PPS", near_words=("9999999AA", "9999999 AA"), body="9999999[A-W][A-IW]",
        check=_judge(_pps_of_two_letters), words="ppsn?|personal public service",
    ),
    # Western and southern Europe
    NationalNumber(
        entity="FR_NIR",
        distinctive=(
            "999999C99999999", "999999C999999 99", "9 99 99 9C 999 999 99", "9-99-99-9C-999-999-99",
            "9.99.99.9C.999.999.99",
        ),
        # Written C: the seventh character may be the A or B of Corsica.
        body="[123478]99M9[0-9AB]999999", check=_nir,
        words="nir|s[ée]curit[ée] sociale|num[ée]ro de s[ée]cu|insee",
    ),
    NationalNumber(
        entity="ES_NIF", distinctive=("99999999A", "99999999-A", "99.999.999-A"),
        near_words=("99999999 A", "99.999.999A"),
        body="99999999", check=_dni, words="dni|nif|documento nacional",
    ),
    NationalNumber(
        entity="ES_NIE", distinctive=("A9999999A", "A-9999999-A", "A9999999-A"),
        body="[XYZ]9999999", check=_dni, words="nie|extranjeros?",
    ),
    NationalNumber(
        entity="PT_NIF", near_words=("999999999", "999 999 999"), body="[1235689]9999999",
        check=_sum(range(9, 1, -1), complement_or_zero, 11), words="nif|contribuinte|fiscal",
    ),
    NationalNumber(
        entity="IT_FISCAL_CODE", distinctive=("AAAAAACCACCACCCA",),
        body="[A-Z][A-Z][A-Z][A-Z][A-Z][A-Z][0-9LMNP-V][0-9LMNP-V][A-EHLMPRST]"
        "[0-9LMNP-V][0-9LMNP-V][A-Z][0-9LMNP-V][0-9LMNP-V][0-9LMNP-V]",
        check=_codice, words="codice fiscale|cf",
    ),
    NationalNumber(  # In groups, with digits where namesakes have no letters instead.
        entity="IT_FISCAL_CODE", distinctive=("AAA AAA 99A99 A999A",),
        body="[A-Z][A-Z][A-Z][A-Z][A-Z][A-Z]99[A-EHLMPRST]99[A-Z]999",
        check=_codice, words="codice fiscale|cf",
    ),
    NationalNumber(
        entity="GR_AMKA", near_words=("99999999999",), body="DMY9999", check=luhn,
        words="αμκα|amka",
    ),
    NationalNumber(
        entity="NL_BSN", near_words=("999999999", "9999.99.999", "999 999 999"), body="99999999",
        check=_sum(range(9, 1, -1), remainder, 11), words="bsn|burgerservicenummer|sofi-?nummer",
    ),
    *(
        NationalNumber(
            entity="BE_NATIONAL_NUMBER",
            distinctive=(
                "99999999999", "99.99.99-999.99", "999999-999-99", "999999-999.99",
                "99.99.99.999.99",
            ),
            near_words=("99 99 99 999 99",), body="YMD999", check=_belgian(prefix),
            words="rijksregister|registre national|national register|niss|insz|rrn",
        )
        for prefix in ("", "2")
    ),
    # Central Europe
    NationalNumber(
        entity="DE_TAX_ID", near_words=("99999999999", "99 999 999 999"), body="[1-9]999999999",
        check=_steuer_id, words=r"steuer\S*|identifikationsnummer|idnr|tin",
    ),
    NationalNumber(
        entity="AT_SVNR", near_words=("9999999999", "9999 999999", "9999-999999"),
        body="[1-9]999DMY", check=_judge(_svnr),
        words=r"sv-?(?:nr|nummer)|(?:sozial)?versicherungs\S*",
    ),
    NationalNumber(
        entity="CH_AHV",
        distinctive=("9999999999999", "999.9999.9999.99", "999 9999 9999 99"),
        body="756999999999", check=_sum("131313131313", complement, 10), words="ahv|avs|oasi",
    ),
    NationalNumber(
        entity="PL_PESEL", near_words=("99999999999",), body="YmD9999",
        check=_sum("1379137913", complement, 10), words="pesel",
    ),
    NationalNumber(
        entity="CZ_BIRTH_NUMBER", distinctive=("999999/9999",),
        near_words=("9999999999", "999999 9999"), body="YwD999", check=_rodne,
        words=_RODNE,
    ),
    NationalNumber(  # Until 1953, without a check digit.
        entity="CZ_BIRTH_NUMBER", near_words=("999999/999", "999999999"), body="YwD999",
        words=_RODNE,
    ),
    NationalNumber(
        entity="HU_TAJ", near_words=("999 999 999", "999-999-999", "999999999"), body="99999999",
        check=_sum("37373737", remainder, 10), words=r"taj\S*",
    ),
    NationalNumber(
        entity="HR_OIB", near_words=("99999999999",), body="9999999999", check=mod_11_10,
        words="oib",
    ),
    NationalNumber(
        entity="RO_CNP", near_words=("9999999999999",), body="[1-9]YMD99999", check=_cnp,
        words="cnp|cod numeric personal",
    ),
    NationalNumber(
        entity="BG_EGN", near_words=("9999999999",), body="YmD999",
        check=_sum((2, 4, 8, 5, 10, 9, 7, 3, 6), remainder_or_zero, 11), words="егн|egn",
    ),
    # Northern Europe
    NationalNumber(
        entity="SE_PERSONNUMMER", distinctive=("999999-9999", "999999+9999"),
        near_words=("9999999999",), body="YMd999", check=luhn,
        words=r"person\S*|pers[. ]?nr|pnr|pat|patient\w*",
    ),
    NationalNumber(
        entity="SE_PERSONNUMMER", distinctive=("99999999-9999",), near_words=("999999999999",),
        body="JMd999", check=lambda body: luhn(body[2:]),
        words=r"person\S*|pers[. ]?nr|pnr|pat|patient\w*",
    ),
    NationalNumber(
        entity="NO_NATIONAL_ID", distinctive=("99999999999", "999999 99999", "999999-99999"),
        body="dMY999",
        check=_twice(_sum("376189452", complement, 11), _sum("5432765432", complement, 11)),
        words=r"f[øo]dselsnummer\S*|person\S*|fnr",
    ),
    NationalNumber(
        entity="DK_CPR", near_words=("999999-9999", "9999999999", "999999 9999"), body="DMY9999",
        words=r"cpr\S*|person\S*",
    ),
    *(
        NationalNumber(
            entity="FI_PERSONAL_IDENTITY_CODE", distinctive=spellings, body=f"DMY{century}999",
            check=_hetu, words=r"hetu|henkil[öo]tunnus|personbeteckning",
        )
        for century, spellings in (
            ("", ("999999-999C", "999999+999C")), ("[A-FU-Y]", ("999999A999C",))
        )
    ),
    NationalNumber(
        entity="BALTIC_PERSONAL_CODE", near_words=("99999999999",), body="[1-6]YMD999",
        check=_isikukood, words=_BALTIC,
    ),
    NationalNumber(  # Latvia: with the date of birth until 2017, after 32 any digits since.
        entity="BALTIC_PERSONAL_CODE", near_words=("999999-99999", "99999999999"),
        body="DMY[0-2]9999", words=_BALTIC,
    ),
    NationalNumber(
        entity="BALTIC_PERSONAL_CODE", near_words=("999999-99999", "99999999999"),
        body="32999999999", words=_BALTIC,
    ),
    # Eastern Europe and western Asia
    NationalNumber(
        entity="RU_SNILS", distinctive=("999-999-999 99",),
        near_words=("99999999999", "999-999-999-99"), body="999999999", check=_snils,
        words="снилс|snils",
    ),
    NationalNumber(
        entity="RU_INN", near_words=("999999999999",), body="9999999999",
        check=_twice(
            _sum((7, 2, 4, 10, 3, 5, 9, 4, 6, 8), remainder_or_zero, 11),
            _sum((3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8), remainder_or_zero, 11),
        ),
        words="инн|inn",
    ),
    NationalNumber(
        entity="UA_TAX_NUMBER", near_words=("9999999999",), body="999999999",
        check=_sum((-1, 5, 7, 9, 4, 6, 10, 5, 7), remainder_or_zero, 11),
        words="рнокпп|ідентифікаційний|іпн",
    ),
    NationalNumber(
        entity="TR_NATIONAL_ID", near_words=("99999999999",), body="[1-9]99999999", check=_tr,
        words=r"t\.?c\.?|tckn|tcno|kimlik|t\.?c\.? kimlik",
    ),
    NationalNumber(
        entity="IL_ID_NUMBER", near_words=("999999999", "99999999-9"), body="99999999", check=luhn,
        words=r"teudat zehut|תעודת זהות|מספר זהות|ת\.?ז\.?|israeli id",
    ),
    # South, east and south-east Asia
    NationalNumber(
        entity="IN_AADHAAR", near_words=("999999999999", "9999-9999-9999", "9999 9999 9999"),
        body="[2-9]9999999999", check=verhoeff, words=r"aadhaa?r|uidai|uid|आधार\S*",
    ),
    NationalNumber(
        entity="IN_PAN", near_words=("AAAAA9999A",),
        body="[A-Z][A-Z][A-Z][ABCFGHJLPT][A-Z]9999[A-Z]",
        words="pan|permanent account|income tax|पैन",
    ),
    NationalNumber(
        entity="CN_ID_NUMBER", distinctive=("99999999999999999C",), body="[1-6]99999JMD999",
        check=mod_11_2, words="身份证|身份證|identity card",
    ),
    NationalNumber(
        entity="TW_ID_NUMBER", near_words=("A999999999",), body="[A-Z][1289]9999999",
        check=_taiwan, words="身分證|身份證|taiwan",
    ),
    NationalNumber(
        entity="JP_MY_NUMBER", near_words=("999999999999", "9999 9999 9999", "9999-9999-9999"),
        body="99999999999", check=_sum("65432765432", complement_or_zero, 11),
        words="マイナンバー|個人番号|my number",
    ),
    NationalNumber(
        entity="KR_RRN", distinctive=("999999-9999999",), near_words=("9999999999999",),
        body="YMD[1-8]999999", words="주민등록번호|주민번호|rrn|resident registration",
    ),
    NationalNumber(
        entity="KR_RRN", near_words=("999999-9999999",), body="999999[0-9]999999",
        words="주민등록번호|주민번호|rrn|resident registration",
    ),
    NationalNumber(
        entity="SG_NRIC_FIN", distinctive=("A9999999A",), body="[STFGM]9999999", check=_nric,
        words="nric|fin",
    ),
    NationalNumber(
        entity="TH_TNIN", distinctive=("9-9999-99999-99-9", "9 9999 99999 99 9"),
        near_words=("9999999999999",), body="[1-8]99999999999", check=_thai,
        words=r"\S*(?:เลขประจำตัว|ประชาชน)\S*|thai",
    ),
    # The southern hemisphere
    NationalNumber(
        entity="BR_CPF", distinctive=("999.999.999-99",),
        near_words=("99999999999", "999999999-99", "999 999 999 99"),
        body="999999999",
        check=_twice(
            _sum(range(10, 1, -1), complement_or_zero, 11),
            _sum(range(11, 1, -1), complement_or_zero, 11),
        ),
        words="cpf",
    ),
    NationalNumber(
        entity="BR_CNPJ", distinctive=("99.999.999/9999-99",), near_words=("99999999999999",),
        body="999999999999",
        check=_twice(
            _sum(_CNPJ[1:], complement_or_zero, 11), _sum(_CNPJ, complement_or_zero, 11)
        ),
        words="cnpj",
    ),
    NationalNumber(
        entity="AR_CUIL", distinctive=("99-99999999-9",), near_words=("99999999999",),
        body="[23][0347]99999999", check=_sum("5432765432", complement, 11), words="cui[lt]",
    ),
    *(
        NationalNumber(
            entity="CL_RUT", distinctive=(f"{dotted}-C",), near_words=(f"{len(body) * '9'}-C",),
            body=body, check=_rut, words="rut|run",
        )
        for body, dotted in (("9999999", "9.999.999"), ("99999999", "99.999.999"))
    ),
    NationalNumber(
        entity="ZA_ID_NUMBER", distinctive=("9999999999999", "999999 9999 999", "999999 9999 99 9"),
        body="YMD9999[0-2][89]", check=luhn, words="south african|rsa id|sa id",
    ),
    NationalNumber(
        entity="AU_TFN", near_words=("999 999 999", "999-999-999", "999999999"), body="99999999",
        check=_sum((1, 4, 3, 7, 5, 8, 6, 9), remainder, 11), words="tfn|tax file",
    ),
    NationalNumber(
        entity="AU_ABN", distinctive=("99 999 999 999",), near_words=("99999999999",),
        body="[1-9]9999999999", check=_judge(_abn), words="abn|australian business",
    ),
    NationalNumber(
        entity="AU_MEDICARE", distinctive=("9999 99999 9",),
        near_words=("9999999999", "9999-99999-9"), body="[2-6]999999999",
        check=_judge(_medicare), words="medicare",
    ),
    NationalNumber(
        entity="NZ_IRD", near_words=("999-999-999", "999999999"),
        body="[01]9999999", check=_ird, words="ird",
    ),
)  # fmt: skip
