"""Placeholders and pseudonyms: what stands where a value stood."""

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from corpusmill.privacy import identities
from corpusmill.privacy.anonymizer import Anonymizer, Treated, Unsettled, resolve_overlaps
from corpusmill.privacy.checks import digits_of, luhn_digit
from corpusmill.privacy.entities import ENTITIES, Method
from corpusmill.privacy.finding import Finding
from corpusmill.privacy.national import make, valid, write
from corpusmill.privacy.national_numbers import NATIONAL_NUMBERS
from corpusmill.privacy.pseudonyms import fictitious, fictitious_spans, pseudonym, value_hash
from corpusmill.privacy.recognizers import Scanner

KEY = b"sixteen bytes or more"
OTHER_KEY = b"another key altogether"

VALUES = {
    "EMAIL_ADDRESS": "UtaKortig@jourrapide.com",
    "PHONE_NUMBER": "+44 7700 921 916",
    "CREDIT_CARD": "4007-0707-5369-0781",
    "IBAN_CODE": "GB56 HXDO 8816 7774 6561 19",
    "IP_ADDRESS": "86.121.97.248",
    "US_SSN": "536-22-8145",
    "CRYPTO": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "MAC_ADDRESS": "3C-22-FB-0A-19-7E",
}
"""One of each entity, in the spelling that a pseudonym should keep."""


class Machine:
    """An Anonymizer with a Scanner, for one text at a time."""

    def __init__(
        self,
        method: Method,
        key: bytes | None = None,
        methods: dict[str, Method] | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self._anonymizer = Anonymizer(method, key, methods)
        self._names = [re.compile(rf"\b{name}") for name in names]

    def find(self, texts: pa.Array, rows: Sequence[int]) -> list[list[Finding]]:
        found = SCANNER.find_all(texts)
        for text, findings in zip(texts.to_pylist(), found, strict=True):
            for name in self._names:
                spans = (match.span() for match in name.finditer(text))
                findings.extend(Finding(*span, "PERSON", 0.6, "test") for span in spans)
        return found

    def treat(self, text: str) -> tuple[str, list[Treated]]:
        texts, treated = self._anonymizer.anonymize(pa.array([text], pa.large_string()), self.find)
        return texts[0].as_py(), treated.get(0, [])

    def anonymize(self, text: str) -> tuple[str, Counter[str]]:
        after, treated = self.treat(text)
        return after, Counter(one.entity for one in treated)


SCANNER = Scanner()


def is_fictitious(entity: str, text: str, start: int, end: int, key: bytes) -> bool:
    (answer,) = fictitious(text, [Finding(start, end, entity)], key)
    return answer


@pytest.fixture(scope="module")
def mask() -> Machine:
    return Machine("mask")


@pytest.fixture(scope="module")
def pseudonymizer() -> Machine:
    return Machine("pseudonym", KEY)


def test_an_entity_without_a_format_of_its_own_becomes_its_name_and_letters() -> None:
    made = pseudonym("PASSPORT", "C01X00T47", KEY)
    assert re.fullmatch("<PASSPORT-[a-z]{10}>", made)
    assert list(fictitious_spans(made)) == [(0, len(made))]
    assert set(VALUES) < set(ENTITIES)


@pytest.mark.parametrize("entity", VALUES)
def test_masking_writes_a_typed_placeholder(mask: Machine, entity: str) -> None:
    text, counts = mask.anonymize(f"It was {VALUES[entity]}, they said.")
    assert text == f"It was <{entity}>, they said."
    assert counts == {entity: 1}


def test_text_without_identifiers_stays_as_it_is(mask: Machine, pseudonymizer: Machine) -> None:
    text = "Nothing here: <EMAIL_ADDRESS>, <PHONE_NUMBER> and version 1.2.3.4.\r\n\ttoo\u2028 "
    for anonymizer in (mask, pseudonymizer):
        assert anonymizer.anonymize(text) == (text, {})


def test_masking_takes_example_values_as_well(mask: Machine) -> None:
    text, _ = mask.anonymize("jane@example.org, call 212-555-0123, 4111111111111111, 192.0.2.44")
    assert text == "<EMAIL_ADDRESS>, call <PHONE_NUMBER>, <CREDIT_CARD>, <IP_ADDRESS>"


def test_pseudonyms_keep_the_shape_and_lie_in_reserved_ranges() -> None:
    made = {entity: pseudonym(entity, value, KEY) for entity, value in VALUES.items()}
    for entity, value in made.items():
        assert list(fictitious_spans(value)) == [(0, len(value))], (entity, value)
    assert re.fullmatch(r"user-[0-9a-f]{10}@example\.org", made["EMAIL_ADDRESS"])
    assert re.fullmatch(r"\+1 [2-9][0-8]\d-555-01\d\d", made["PHONE_NUMBER"])
    assert re.fullmatch(r"9999-\d{4}-\d{4}-\d{4}", made["CREDIT_CARD"])
    card = digits_of(made["CREDIT_CARD"])
    assert luhn_digit(card[:-1]) != int(card[-1])
    assert re.fullmatch(r"GB00 [A-Z]{4}( \d{4}){3} \d\d", made["IBAN_CODE"])
    networks = [
        ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
    ]
    assert any(ipaddress.ip_address(made["IP_ADDRESS"]) in network for network in networks)
    six = pseudonym("IP_ADDRESS", "2a00:1450:4001:81b::200e", KEY)
    assert ipaddress.ip_address(six) in ipaddress.ip_network("2001:db8::/32")
    assert re.fullmatch(r"000-\d\d-\d{4}", made["US_SSN"])
    assert re.fullmatch(r"00-00-5E-00-53-[0-9A-F]{2}", made["MAC_ADDRESS"])


@pytest.mark.parametrize(
    ("entity", "one", "other"),
    [
        ("EMAIL_ADDRESS", "Jane.Doe@Mail.net", "jane.doe@mail.net"),
        ("EMAIL_ADDRESS", "jane.doe@mail.net", "Jane.Doe [at] mail (dot) net"),
        ("EMAIL_ADDRESS", "jane.doe@mail.net", "jane dot doe at mail[.]net"),
        ("PHONE_NUMBER", "+44 7700 921 916", "+447700921916"),
        ("CREDIT_CARD", "4007070753690781", "4007-0707-5369-0781"),
        ("IBAN_CODE", "GB56HXDO88167774656119", "gb56 hxdo 8816 7774 6561 19"),
        ("IP_ADDRESS", "2a00:1450::e", "2A00:1450:0:0:0:0:0:E"),
        ("IBAN_CODE", "GB56 HXDO 8816", "GB56\u2009HXDO\u20138816"),
        ("EMAIL_ADDRESS", "jos\u00e9@mail.net", "JOSE\u0301@MAIL.NET"),
        ("PERSON", "Jos\u00e9", "Jose\u0301"),
        ("PHONE_NUMBER", "+45 32 12 34 56", "0045 3212 3456"),
        ("US_SSN", "536-22-8145", "536 22 8145"),
        ("MAC_ADDRESS", "3C-22-FB-0A-19-7E", "3c22.fb0a.197e"),
    ],
)
def test_spellings_of_one_value_have_one_pseudonym(entity: str, one: str, other: str) -> None:
    def plain(value: str) -> str:
        return re.sub(r"[^0-9a-z@]", "", value.lower())

    assert plain(pseudonym(entity, one, KEY)) == plain(pseudonym(entity, other, KEY))


def test_a_national_and_an_international_spelling_of_a_phone_number_are_one_person() -> None:
    for home, abroad in (
        ("07700 921 916", "+44 7700 921 916"),
        ("32 12 34 56", "+45 32 12 34 56"),
        ("(212) 736-5000", "+1 212 736 5000"),
        ("06 30 123 4567", "+36 30 123 4567"),
        ("8 (912) 345-67-89", "+7 912 345 67 89"),
    ):
        national = pseudonym("PHONE_NUMBER", home, KEY)
        assert pseudonym("PHONE_NUMBER", abroad, KEY) == f"+1 {national}"


@pytest.mark.parametrize("entity", [e for e in VALUES if e not in ("IP_ADDRESS", "MAC_ADDRESS")])
def test_another_key_or_value_gives_another_pseudonym(entity: str) -> None:
    value = VALUES[entity]
    position = max(i for i, c in enumerate(value) if c.isdigit() or entity == "EMAIL_ADDRESS")
    other = value[:position] + ("3" if value[position] != "3" else "4") + value[position + 1 :]
    made = {pseudonym(entity, value, KEY), pseudonym(entity, value, OTHER_KEY)}
    assert len(made | {pseudonym(entity, other, KEY)}) == 3


def test_one_value_is_one_pseudonym_in_all_documents(pseudonymizer: Machine) -> None:
    first, _ = pseudonymizer.anonymize("Ask UtaKortig@jourrapide.com about it.")
    second, _ = Machine("pseudonym", KEY).anonymize("cc: utakortig@jourrapide.com")
    foreign, _ = Machine("pseudonym", OTHER_KEY).anonymize("cc: utakortig@jourrapide.com")
    assert first.split()[1] == second.split()[1] != foreign.split()[1]


def test_the_stated_precedence_resolves_overlaps() -> None:
    phone = Finding(0, 20, "PHONE_NUMBER")
    card = Finding(4, 18, "CREDIT_CARD")
    short, long = Finding(30, 35, "EMAIL_ADDRESS"), Finding(30, 45, "EMAIL_ADDRESS")
    touching = Finding(18, 22, "US_SSN")
    assert resolve_overlaps([phone, short, long, card, touching]) == [card, touching, long]


def test_what_an_overlap_left_over_is_found_by_the_next_pass(mask: Machine) -> None:
    text, counts = mask.anonymize("call 4007 0707 5369 0781 212-736-5000")
    assert not re.search(r"\d{3}", text)
    assert counts == {"CREDIT_CARD": 1, "PHONE_NUMBER": 1}


fragments = st.one_of(
    st.sampled_from(sorted(VALUES.values())),
    st.sampled_from([pseudonym(entity, value, KEY) for entity, value in VALUES.items()]),
    st.sampled_from(["call ", "ssn ", "+", "(", ")", "-", ".", "/", ":", "@", "x", " ", "\n", "<"]),
    st.text("0123456789", max_size=6),
    st.sampled_from(["\u00b2", "\u0301", "\u00e9", "\u0663", "_", "A"]),
    st.text(max_size=6),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(fragments, max_size=8))
@example(pieces=["call 4007 0707 5369 0781 212-736-5000"])
@example(pieces=["call 4007 0707 5369 0781 212-736-5000 or "])
@example(pieces=["+", "user-a25cbd6352@example.org"])
@example(pieces=["UtaKortig@jourrapide.com", "@", "jourrapide.com"])
@pytest.mark.parametrize("method", ["mask", "pseudonym"])
def test_a_second_pass_changes_nothing(
    mask: Machine, pseudonymizer: Machine, method: str, pieces: list[str]
) -> None:
    anonymizer = mask if method == "mask" else pseudonymizer
    once, _ = anonymizer.anonymize("".join(pieces))
    assert anonymizer.anonymize(once) == (once, {})


def test_a_second_pass_over_labelled_documents_changes_nothing(
    pseudonymizer: Machine, shared_data: Path
) -> None:
    documents = json.loads((shared_data / "pii" / "synth_dataset_v2.json").read_text("utf-8"))
    replaced = 0
    for document in documents[::3]:
        once, counts = pseudonymizer.anonymize(document["full_text"])
        assert pseudonymizer.anonymize(once) == (once, {})
        replaced += counts.total()
    assert replaced > 30


def test_pseudonyms_without_a_key_are_an_error() -> None:
    with pytest.raises(ValueError, match="key"):
        Anonymizer("pseudonym")
    with pytest.raises(ValueError, match="key"):
        Anonymizer("mask", methods={"PHONE_NUMBER": "pseudonym"})


@pytest.mark.parametrize("method", ["mask", "pseudonym", "drop"])
def test_a_second_pass_over_made_up_people_changes_nothing(method: Method) -> None:
    machine = Machine(method, KEY)
    found: Counter[str] = Counter()
    for number in range(40):
        language = identities.LANGUAGES[number % len(identities.LANGUAGES)]
        passages = identities.passages(7, number, language)
        once, counts = machine.anonymize("\n".join(passage.text for passage in passages))
        found += counts
        assert machine.anonymize(once) == (once, {})
    assert found.total() > 500
    assert len(found) > 25


def number_of(entity: str, random: Random) -> str:
    some = [n for n in NATIONAL_NUMBERS if n.entity == entity]
    sort = random.choice(some)
    spelling = random.choice(sort.distinctive + sort.near_words)
    return write(make(sort, random), spelling)


@pytest.mark.parametrize("entity", dict.fromkeys(n.entity for n in NATIONAL_NUMBERS))
def test_a_national_pseudonym_is_nobodys_number_and_is_known_again(entity: str) -> None:
    random = Random(entity)
    written = 0
    for _ in range(10):
        value = number_of(entity, random)
        made = pseudonym(entity, value, KEY)
        assert made == pseudonym(entity, value, KEY) != pseudonym(entity, value, OTHER_KEY)
        assert is_fictitious(entity, f"id: {made}, then", 4, 4 + len(made), KEY)
        if made.startswith("<"):
            continue
        written += 1
        assert re.sub(r"\d", "9", made) == re.sub(r"[A-Z]", "X", re.sub(r"\d", "9", value))
        compact = re.sub(r"[^0-9A-Z]", "", made)
        assert not any(
            valid(number, compact)
            for number in NATIONAL_NUMBERS
            if number.entity == entity and (number.check or "Y" in number.body)
        )
        if not made.startswith("000"):
            assert not is_fictitious(entity, f"id: {made}.", 4, 4 + len(made), OTHER_KEY)
        assert not is_fictitious(entity, f"id: {value}.", 4, 4 + len(value), KEY)
    assert written or entity in (
        "UK_NINO",
        "IE_PPS",
        "SG_NRIC_FIN",
        "ES_NIE",
        "IN_PAN",
        "IT_FISCAL_CODE",
    )


@pytest.mark.parametrize("entity", [*ENTITIES, "PERSON", "LOCATION", "ORGANIZATION", "NRP", "X_1"])
def test_every_entity_has_a_pseudonym_that_is_told_from_real_values(entity: str) -> None:
    value = VALUES.get(entity, "Zq 48-15.16/2342 Kx")
    made = pseudonym(entity, value, KEY)
    assert is_fictitious(entity, made, 0, len(made), KEY)
    assert not is_fictitious(entity, value, 0, len(value), KEY)
    left = set(re.findall(r"\w{3,}", made)) & set(re.findall(r"\w{3,}", value))
    assert not left


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Marie", "A"),
        ("Marie Dupont-Clerc", "A A-A"),
        ("J. K. Rowling", "N. N. A"),
        ("Dr. Ludwig van der Rohe", "Dr. A van der A"),
        ("DUPONT, Marie", "A, A"),
        ("maría josé", "a a"),
        ("Dupont's", "A's"),
        ("O’Brien", "A"),
        ("Анна Каренина", "A A"),
        ("王小明", "某.."),
    ],
)
def test_the_pseudonym_of_a_name_keeps_its_shape(name: str, shape: str) -> None:
    made = pseudonym("PERSON", name, KEY)
    coined = shape.replace(".", r"\.").replace("某\\.\\.", "某[一-龥]{2}")
    coined = re.sub("A", "[A-Z][A-Za-z]{5,}", coined)
    coined = re.sub(r"\ba\b", "[a-z]{6,}", coined)
    assert re.fullmatch(coined, made), made
    assert pseudonym("PERSON", made, KEY) == made
    assert made.isupper() or name.split(",")[0].isupper() == made.split(",")[0].isupper()


def test_parts_of_a_name_have_the_same_pseudonym_wherever_they_stand() -> None:
    first, last = pseudonym("PERSON", "Marie Dupont", KEY).split()
    assert pseudonym("PERSON", "Dupont", KEY) == last
    assert pseudonym("PERSON", "DUPONT, Marie", KEY) == f"{last.upper()}, {first}"
    assert pseudonym("PERSON", "Mme Dupont", KEY) == f"Mme {last}"
    assert pseudonym("PERSON", "Marie Dupont", OTHER_KEY) != f"{first} {last}"


def test_a_fictitious_name_that_is_found_again_stays_and_what_is_new_beside_it_goes() -> None:
    machine = Machine("pseudonym", KEY, names=["Marie Dupont", "[A-Z][a-z]+ [A-Z][a-z]+(?= wrote)"])
    once, counts = machine.anonymize("Marie Dupont wrote. Then Bob Said wrote.")
    assert counts == {"PERSON": 2}
    assert not re.search("Marie|Dupont|Bob|Said", once)
    assert machine.anonymize(once) == (once, {})
    made = pseudonym("PERSON", "Dupont", KEY)
    grown, _ = machine.anonymize(f"{made} Bob wrote.")
    assert grown == f"{made} {pseudonym('PERSON', 'Bob', KEY)} wrote."


def test_numbers_beside_or_around_a_reserved_one_do_not_hide_behind_it() -> None:
    machine = Machine("pseudonym", KEY)
    # 555-0123 is kept for fiction in North America; +44 20 555 0123 and 800-555-0123 are not.
    for real in ("+44 20 5555 0123", "+49 30 555 0123", "800-555-0123"):
        text, counts = machine.anonymize(f"call {real} now")
        assert counts == {"PHONE_NUMBER": 1}, text
        assert real not in text
    for nobodys in ("212-555-0123", "+1 415-555-0199", "(650) 555-0100"):
        text = f"call {nobodys} now"
        assert machine.anonymize(text) == (text, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("card NO00 4007 0707 5369 0781 ok", "4007 0707"),
        ("driver's license: AA0012345678", "0012345678"),
        ("driving licence no. AB00 1234 5678 90", "1234 5678"),
    ],
)
def test_two_letters_and_zeros_before_a_number_do_not_hide_it(text: str, value: str) -> None:
    after, counts = Machine("pseudonym", KEY).anonymize(text)
    assert value not in after
    assert counts.total() == 1


@pytest.mark.parametrize("name", ["Ben", "Don Ed", "Van Dyke", "Al", "M. Dupont", "E. Pan"])
def test_a_name_that_looks_like_a_particle_goes(name: str) -> None:
    made = pseudonym("PERSON", name, KEY)
    assert not set(re.findall(r"\w+", name)) & set(re.findall(r"\w+", made))
    assert pseudonym("PERSON", made, KEY) == made


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize(
    "value",
    [
        "x",
        "12:34",
        "086.121.097.248",
        "3C-22-FB-0A-19-7E-11",
        "1" * 29,
        "2001:db8::%eth0/64",
        "\u00bd",
    ],
)
def test_what_a_recipes_recognizers_call_an_entity_may_have_any_shape(
    entity: str, value: str
) -> None:
    made = pseudonym(entity, value, KEY)
    assert is_fictitious(entity, made, 0, len(made), KEY)
    assert value_hash(entity, value, KEY) == value_hash(entity, value, KEY)


def test_each_entity_can_have_a_method_of_its_own() -> None:
    text = "Mail jane.roe@corp.com, call +44 7700 921 916, card 4007-0707-5369-0781."
    machine = Machine("mask", KEY, {"EMAIL_ADDRESS": "pseudonym", "PHONE_NUMBER": "keep"})
    after, treated = machine.treat(text)
    assert re.fullmatch(
        r"Mail user-\w{10}@example\.org, call \+44 7700 921 916, card <CREDIT_CARD>\.", after
    )
    assert [(one.entity, one.method) for one in treated] == [
        ("EMAIL_ADDRESS", "pseudonym"), ("PHONE_NUMBER", "keep"), ("CREDIT_CARD", "mask"),
    ]  # fmt: skip


def test_what_is_kept_covers_nothing_that_goes() -> None:
    machine = Machine("mask", methods={"URL": "keep"})
    after, treated = machine.treat("see https://ann:pw8x3kq@corp.com/?mail=ann.lee@corp.com .")
    assert "ann.lee" not in after
    assert "EMAIL_ADDRESS" in {one.entity for one in treated}


def test_offsets_are_those_of_the_text_as_it_came() -> None:
    text = "a jane.roe@corp.com then call 4007 0707 5369 0781 212-736-5000 or bob@corp.com"
    for machine in (Machine("mask"), Machine("pseudonym", KEY)):
        _, treated = machine.treat(text)
        assert {(one.entity, text[one.start : one.end]) for one in treated} == {
            ("EMAIL_ADDRESS", "jane.roe@corp.com"),
            ("CREDIT_CARD", "4007 0707 5369 0781"),
            ("PHONE_NUMBER", "212-736-5000"),
            ("EMAIL_ADDRESS", "bob@corp.com"),
        }


@given(
    order=st.permutations(["alfa", "brav", "char", "delt", "echo", "foxt"]),
    passes=st.lists(st.integers(0, 3), min_size=6, max_size=6),
)
def test_whatever_pass_finds_it_every_value_gets_its_pseudonym(
    order: list[str], passes: list[int]
) -> None:
    text = "Start " + " and ".join(order) + " end"
    when = dict(zip(order, passes, strict=True))
    calls = -1

    def find(texts: pa.Array, rows: Sequence[int]) -> list[list[Finding]]:
        nonlocal calls
        calls += 1
        now = texts[0].as_py()
        spans = [m.span() for name in order if when[name] <= calls for m in re.finditer(name, now)]
        return [[Finding(*span, "PASSWORD", 1.0, "test") for span in spans]]

    when[order[0]] = 0
    for earlier in range(1, 4):  # a pass that finds nothing is the last one
        if earlier not in when.values():
            when = {name: min(number, earlier - 1) for name, number in when.items()}
    after, treated = Anonymizer("pseudonym", KEY).anonymize(pa.array([text]), find)
    expected = text
    for name in order:
        expected = expected.replace(name, pseudonym("PASSWORD", name, KEY))
    assert after[0].as_py() == expected
    assert sorted(text[one.start : one.end] for one in treated[0]) == sorted(order)


def test_hashes_tell_equal_values_and_need_a_key() -> None:
    assert Machine("mask").treat(VALUES["EMAIL_ADDRESS"])[1][0].hash is None
    text = f"{VALUES['EMAIL_ADDRESS']} {VALUES['EMAIL_ADDRESS'].upper()} other@corp.com"
    hashes = [str(one.hash) for one in Machine("mask", KEY).treat(text)[1]]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0] == value_hash("EMAIL_ADDRESS", VALUES["EMAIL_ADDRESS"], KEY)
    assert hashes[0] != value_hash("EMAIL_ADDRESS", VALUES["EMAIL_ADDRESS"], OTHER_KEY)
    assert re.fullmatch("[0-9a-f]{16}", hashes[0])


def test_a_finder_that_never_ends_is_an_error() -> None:
    def end_of_it(texts: pa.Array, rows: Sequence[int]) -> list[list[Finding]]:
        ends = [len(text) for text in texts.to_pylist()]
        return [[Finding(max(0, end - 3), end + 1, "PHONE_NUMBER", 1.0)] for end in ends]

    with pytest.raises(Unsettled):
        Anonymizer("mask").anonymize(pa.array(["xxx"]), end_of_it)


def test_null_and_empty_texts_stay() -> None:
    texts = pa.array(["", None, "Nobody"], pa.large_string())
    after, treated = Anonymizer("mask").anonymize(texts, Machine("mask").find)
    assert after is texts
    assert treated == {}
