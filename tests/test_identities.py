"""Made-up people: their values are what they claim to be, and stand where they are said to."""

import hashlib
import ipaddress
import re
from collections import defaultdict
from random import Random

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.errors import UsageError
from corpusmill.privacy import identity_regions as regions
from corpusmill.privacy import identity_taxes as taxes
from corpusmill.privacy import identity_values as values
from corpusmill.privacy.checks import IBAN_LENGTHS
from corpusmill.privacy.entities import ENTITIES
from corpusmill.privacy.identities import LANGUAGES, identity, passages, planted
from corpusmill.privacy.identity_numbers import NATIONAL
from corpusmill.privacy.leaks import Comparison
from corpusmill.privacy.national import valid
from corpusmill.privacy.national_numbers import NATIONAL_NUMBERS
from corpusmill.privacy.pseudonyms import fictitious_spans
from corpusmill.privacy.wilson import wilson_interval

PEOPLE = [identity(5, n, LANGUAGES[n % len(LANGUAGES)]) for n in range(400)]


def all_of(entity: str) -> list[str]:
    return [person.values[entity].text for person in PEOPLE]


def test_the_same_number_is_the_same_person_and_another_is_another() -> None:
    assert identity(1, 7, "de") == identity(1, 7, "de")
    assert list(passages(1, 7, "de")) == list(passages(1, 7, "de"))
    assert len({str(identity(seed, n, "de")) for seed in (1, 2) for n in range(20)}) == 40


def test_an_unknown_language_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="'xx' is not one of de, en, es"):
        identity(1, 1, "xx")


def test_ten_languages_and_twenty_countries_have_national_numbers() -> None:
    assert len(LANGUAGES) >= 10
    written = {region for person in PEOPLE for region in [person.region]}
    assert len(written) >= 20
    assert written <= NATIONAL.keys()


def test_every_entity_that_patterns_find_is_made_up_except_rare_national_ones() -> None:
    national = {number.entity for number in NATIONAL_NUMBERS}
    made = {entity for person in PEOPLE for entity in person.values}
    assert set(ENTITIES) - national <= made
    assert len(national & made) >= 25


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(LANGUAGES))
def test_values_stand_where_they_are_said_to(number: int, language: str) -> None:
    person = identity(3, number, language)
    text, places = planted(3, number, language, set(person.values))
    assert {p.entity for p in places} == set(person.values)
    for place in places:
        value = person.values[place.entity]
        assert text[slice(*place.whole)] == value.text
        assert text[place.start : place.end] == (value.private or value.text)
        assert place.whole[0] <= place.start < place.end <= place.whole[1]


def test_no_slot_of_a_sentence_is_left_open() -> None:
    for n in range(300):
        for passage in passages(1, n, LANGUAGES[n % len(LANGUAGES)]):
            assert not re.search("[«»]", passage.text)


def test_values_without_a_word_for_them_stand_in_no_bare_line_when_they_need_one() -> None:
    for n in range(200):
        language = LANGUAGES[n % len(LANGUAGES)]
        person = identity(1, n, language)
        for passage in passages(1, n, language):
            bare = [p for p in passage.planted if p.template.startswith("bare")]
            assert not any(person.values[p.entity].announced for p in bare)


@pytest.mark.parametrize("region", sorted(regions.PHONES))
def test_phone_numbers_of_every_spelling_are_valid_ones(region: str) -> None:
    random = Random(1)
    for shape in regions.PHONES[region].split("|"):
        numbers = [regions.fill(random, shape) for _ in range(40)]
        good = [phonenumbers.is_valid_number(phonenumbers.parse(n, region)) for n in numbers]
        assert sum(good) >= 36, shape  # some ranges have gaps


def test_national_numbers_hold_by_the_table_that_recognizers_use() -> None:
    # Two writings of the same rules, made apart: neither may be wrong alone.
    known = defaultdict(list)
    for rule in NATIONAL_NUMBERS:
        known[rule.entity].append(rule)
    random = Random(2)
    for numbers in NATIONAL.values():
        for number in numbers:
            for _ in range(100):
                value = number.make(random)
                compact = "".join(c for c in value.upper() if c.isalnum())
                ways = {compact, compact[2:]}  # with and without the century
                assert any(valid(k, way) for k in known[number.entity] for way in ways), value


def test_tax_numbers_of_published_examples_have_their_check_digits() -> None:
    assert taxes.at_check("1358562") == "7"  # ATU13585627
    assert taxes.ch_check("10015521") == "2"  # CHE-100.155.212
    assert taxes.fr_check("303265045") == "40"  # FR40303265045
    assert taxes.tr_check("454053692") == "0"  # 4540536920


def test_tax_numbers_hold_by_the_table_that_recognizers_use() -> None:
    same = {"BR": "BR_CNPJ", "AU": "AU_ABN", "NZ": "NZ_IRD", "CL": "CL_RUT", "PT": "PT_NIF"}
    random = Random(4)
    for region, entity in same.items():
        rules = [rule for rule in NATIONAL_NUMBERS if rule.entity == entity]
        for _ in range(50):
            compact = re.sub(r"\W", "", taxes.TAX_NUMBERS[region][0].make(random))
            assert any(valid(rule, compact) for rule in rules), compact


def test_ibans_of_all_countries_have_the_registered_length_and_remainder_one() -> None:
    random = Random(3)
    for country in regions.IBAN_SHAPES:
        compact = regions.iban(random, country).replace(" ", "")
        moved = compact[4:] + compact[:4]
        assert len(compact) == IBAN_LENGTHS[country]
        assert int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
    assert len(regions.IBAN_SHAPES) >= 15


def test_card_numbers_pass_luhn() -> None:
    for card in all_of("CREDIT_CARD"):
        digits = [int(c) for c in card if c.isdigit()][::-1]
        assert sum(digits[::2] + [sum(divmod(2 * d, 10)) for d in digits[1::2]]) % 10 == 0


def test_addresses_of_coins_are_those_of_published_examples() -> None:
    genesis = bytes.fromhex("62e907b15cbf27d5425399ebf6f0fb50ebb88f18")
    assert values._base58_check(0, genesis) == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    bip_173 = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
    assert values._bech32(bip_173, 0) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    bip_350 = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    address = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
    assert values._bech32(bip_350, 1) == address
    assert hashlib.sha256(genesis).digest() != hashlib.sha256(bip_173).digest()


def test_network_addresses_are_public() -> None:
    for address in all_of("IP_ADDRESS"):
        assert ipaddress.ip_address(address).is_global


def test_no_value_is_one_that_counts_as_fictitious() -> None:
    # A pseudonym's own ranges are left alone: a value from them would be a leak of nothing.
    for person in PEOPLE:
        for value in person.values.values():
            assert list(fictitious_spans(value.text)) == []


def test_brackets_of_a_placeholder_are_not_those_that_stood_around_the_value() -> None:
    before = "From: Anna <anna@web.de>, <b>47 5th Street</b>\n"
    after = "From: Anna <<EMAIL_ADDRESS>>, <b><STREET_ADDRESS></b>\n"
    comparison = Comparison(before, after)
    assert comparison.replaced() == [(12, 23), (29, 42)]
    assert comparison.instead(12, 23) == "<EMAIL_ADDRESS>"
    assert not comparison.leaked(29, 42)


@pytest.mark.parametrize(
    ("value", "instead", "leaked"),
    [
        ("anna.meier@web.de", "anna.meier@web.de", True),
        ("anna.meier@web.de", "<EMAIL_ADDRESS>", False),
        ("anna.meier@web.de", "anna.meier<EMAIL_ADDRESS>", True),
        ("anna.meier@web.de", "", False),
        ("+1 212 736 5000", "+1 489-555-0155", False),
        ("+1 212 736 5000", "<PHONE_NUMBER> 5000", False),
        ("48.137154, 11.576124", "<COORDINATES>, 11.576124", True),
        ("DE89 3704 0044 0532 0130 00", "DE00 5555 1234 9876 5432 10", False),
        ("47 5th Street", "<STREET_ADDRESS>", False),
        ("47 5th Street", "17 Velmorick Street", False),
        ("47 5th Street", "<STREET_ADDRESS-qkzrmwaplf>", False),
        ("Password2024", "<PASSWORD>", False),
        ("Password2024", "<PASSWORD>2024 Password2024", True),
        ("passport-king", "<PASSPORT-qkzrmwaplf>", False),
        ("Rosenthaler Straße 4", "Rosenthaler <STREET_ADDRESS>", True),
        ("ab12cd34", "ab1<ID_CARD>2cd<ID_CARD>34", False),
        ("Linz", "Linz", True),
        ("Linz", "Graz", False),
    ],
)
def test_a_value_leaks_when_a_good_part_of_it_is_left(
    value: str, instead: str, leaked: bool
) -> None:
    before, after = (
        "She wrote: {}, and then\nleft for good.",
        "She wrote: {}, and then\nleft for good.",
    )
    comparison = Comparison(before.format(value), after.format(instead))
    assert comparison.leaked(11, 11 + len(value)) is leaked


WORDS = st.lists(st.sampled_from(["one", "two", "three,", "four.\n", "five"]), max_size=30)


@settings(max_examples=200)
@given(WORDS, WORDS)
def test_what_stands_instead_is_found_between_any_words(one: list[str], two: list[str]) -> None:
    left, right = " ".join(one) + " ", " " + " ".join(two)
    comparison = Comparison(f"{left}8842-7719-abc{right}", f"{left}<NUMBER>{right}")
    start, end = len(left), len(left) + len("8842-7719-abc")
    assert "<NUMBER>" in comparison.instead(start, end)
    assert not comparison.leaked(start, end)
    assert any(a <= start and end <= b for a, b in comparison.replaced())
    same = Comparison(f"{left}8842-7719-abc{right}", f"{left}8842-7719-abc{right}")
    assert same.leaked(start, end)
    assert same.replaced() == []


def test_the_interval_of_a_rate_is_wilsons() -> None:
    # Brown, Cai and DasGupta (2001), and the rule of three for a rate of one.
    low, high = wilson_interval(997, 1000)
    assert (round(low, 4), round(high, 4)) == (0.9912, 0.9990)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(50, 50)[1] == 1.0
    assert 0.92 < wilson_interval(50, 50)[0] < 0.94
