"""Check digits and shapes of national numbers, cards and accounts."""

from random import Random

import pytest

from corpusmill.privacy.checks import iban_digits, luhn, valid_iban, verhoeff
from corpusmill.privacy.national import make, shape_of, shapes, valid, write
from corpusmill.privacy.national_numbers import NATIONAL_NUMBERS
from corpusmill.privacy.recognizers import Scanner

PUBLISHED = {
    "AR_CUIL": "20267565393", "AT_SVNR": "1237010180", "AU_ABN": "51824753556",
    "AU_MEDICARE": "2123456701", "AU_TFN": "123456782", "BALTIC_PERSONAL_CODE": "37605030299",
    "BE_NATIONAL_NUMBER": "93051822361", "BG_EGN": "7523169263", "BR_CNPJ": "11222333000181",
    "BR_CPF": "52998224725", "CA_SIN": "130692544", "CH_AHV": "7569217076985",
    "CL_RUT": "125319092", "CN_ID_NUMBER": "11010519491231002X", "CZ_BIRTH_NUMBER": "7103192745",
    "DE_TAX_ID": "86095742719", "ES_NIE": "X1234567L", "ES_NIF": "12345678Z",
    "FI_PERSONAL_IDENTITY_CODE": "131052308T", "FR_NIR": "255081416802538",
    "GR_AMKA": "01013099997", "HR_OIB": "33392005961", "HU_TAJ": "123456788",
    "IE_PPS": "6433435F", "IL_ID_NUMBER": "039337423", "IN_AADHAAR": "234123412346",
    "IT_FISCAL_CODE": "RSSMRA85T10A562S", "JP_MY_NUMBER": "123456789018",
    "MX_CURP": "BOXW310820HNERXN09", "NL_BSN": "111222333", "NO_NATIONAL_ID": "01010750160",
    "NZ_IRD": "049091850", "PL_PESEL": "44051401359", "PT_NIF": "123456789",
    "RO_CNP": "1630615123457", "RU_INN": "500100732259", "RU_SNILS": "11223344595",
    "SE_PERSONNUMMER": "8112189876", "SG_NRIC_FIN": "S1234567D", "TH_TNIN": "1101700207030",
    "TR_NATIONAL_ID": "10000000146", "TW_ID_NUMBER": "A123456789", "UA_TAX_NUMBER": "1759013776",
    "UK_NHS": "9434765919", "ZA_ID_NUMBER": "8001015009087",
}  # fmt: skip
"""Examples that authorities and encyclopedias print: nobody's, or dead for long."""


def is_valid(entity: str, compact: str) -> bool:
    return any(valid(n, compact) for n in NATIONAL_NUMBERS if n.entity == entity)


def test_fifteen_countries_and_more_have_check_digits() -> None:
    assert len({n.entity[:2] for n in NATIONAL_NUMBERS if n.check}) > 40


@pytest.mark.parametrize("entity", PUBLISHED)
def test_published_examples_are_valid(entity: str) -> None:
    assert is_valid(entity, PUBLISHED[entity])


@pytest.mark.parametrize("entity", PUBLISHED)
def test_a_slip_in_one_digit_is_noticed(entity: str) -> None:
    value = PUBLISHED[entity]
    slips = [
        value[:at] + digit + value[at + 1 :]
        for at, old in enumerate(value)
        for digit in "0123456789"
        if old.isdigit() and digit != old
    ]
    # Nearly all: remainders that are folded to one digit, and issue numbers, hide a few.
    assert sum(is_valid(entity, slip) for slip in slips) <= 0.12 * len(slips)


@pytest.mark.parametrize("number", NATIONAL_NUMBERS, ids=lambda n: n.entity)
def test_made_numbers_are_valid_and_have_the_shapes_of_their_spellings(number) -> None:  # type: ignore[no-untyped-def]
    random = Random(7)
    for _ in range(5):
        compact = make(number, random)
        assert valid(number, compact)
        for spelling in (*number.distinctive, *number.near_words):
            assert shape_of(write(compact, spelling)) in shapes(spelling)


WORDS = {
    "CA_SIN": "SIN", "UK_NHS": "NHS number", "IE_PPS": "PPSN", "PT_NIF": "NIF", "GR_AMKA": "AMKA",
    "NL_BSN": "BSN", "DE_TAX_ID": "Steuer-ID", "AT_SVNR": "SVNR", "PL_PESEL": "PESEL",
    "HU_TAJ": "TAJ", "HR_OIB": "OIB", "RO_CNP": "CNP", "BG_EGN": "ЕГН", "DK_CPR": "CPR-nummer",
    "BALTIC_PERSONAL_CODE": "Isikukood", "RU_INN": "ИНН", "UA_TAX_NUMBER": "РНОКПП",
    "TR_NATIONAL_ID": "T.C. kimlik", "IL_ID_NUMBER": "Teudat Zehut", "IN_AADHAAR": "Aadhaar",
    "IN_PAN": "PAN", "TW_ID_NUMBER": "身份證", "JP_MY_NUMBER": "マイナンバー", "AU_TFN": "TFN",
    "NZ_IRD": "IRD", "MX_RFC": "RFC", "UK_NINO": "NI", "KR_RRN": "RRN",
    "CZ_BIRTH_NUMBER": "Rodné číslo",
}  # fmt: skip
"""A word for each number that needs one in all its spellings."""


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner()


@pytest.mark.parametrize("number", NATIONAL_NUMBERS, ids=lambda n: n.entity)
def test_every_spelling_is_found_in_text(scanner: Scanner, number) -> None:  # type: ignore[no-untyped-def]
    random = Random(3)
    assert number.distinctive or number.entity in WORDS
    for announced, spellings in ((False, number.distinctive), (True, number.near_words)):
        word = WORDS.get(number.entity, "national ID number") if announced else "it was"
        for spelling in spellings:
            value = write(make(number, random), spelling)
            text = f"Записано, {word}: {value}, so they said."
            found = {text[f.start : f.end] for f in scanner.find(text) if f.entity == number.entity}
            assert found == {value}


@pytest.mark.parametrize("number", NATIONAL_NUMBERS, ids=lambda n: n.entity)
def test_plain_digits_without_a_word_are_left_alone(scanner: Scanner, number) -> None:  # type: ignore[no-untyped-def]
    random = Random(5)
    plain = [s for s in number.near_words if set(s) == {"9"} and s not in number.distinctive]
    for spelling in plain:
        text = f"The counter stood at {write(make(number, random), spelling)} then."
        assert number.entity not in {f.entity for f in scanner.find(text)}


def test_ibans_need_their_country_length_and_check_digits() -> None:
    good = "DE89370400440532013000"
    assert valid_iban(good)
    assert iban_digits("DE", good[4:]) == "89"
    assert not valid_iban(good[:-1])
    assert not valid_iban(good[:-1] + "1")
    assert not valid_iban("ZZ" + good[2:])


def test_methods_give_the_check_digits_of_their_definitions() -> None:
    assert luhn("7992739871") == "3"
    assert verhoeff("236") == "3"
