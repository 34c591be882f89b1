"""Addresses of many countries, as they stand in letters, and how names stand around them."""

import pytest
from tests.cost import is_within

from corpusmill.privacy.addresses import (
    american_addresses,
    shaped_addresses,
    typed_addresses,
    whole_addresses,
)
from corpusmill.privacy.finding import Finding
from corpusmill.privacy.ner_rules import before_streets, completed, lists
from corpusmill.privacy.recognizers import Scanner


def _found(text: str) -> list[str]:
    pieces = [*shaped_addresses(text), *typed_addresses(text), *american_addresses(text)]
    return [text[f.start : f.end] for f in whole_addresses(text, pieces)]


@pytest.mark.parametrize(
    "address",
    [
        "Soseaua Popescu Nr. 61 Bl. 84  Sc. 81 Ap. 321, Sannicolau Mare, NC 763859",
        "Largo Anjos, S/N, 4691-092 Castelo Branco",
        "Quadra Lopes, 83, Eymard, 06166927 Lopes de Moreira / RN",
        "Borgo Temistocle, 19, 43059, Tarsogno (PR)",
        "Carrera 57 # 7-71 Este",
        "Av. 7 N° 750",
        "Diagonal San Martin N° 9867, La Rioja 97958",
        "Jl. Ciumbuleuit No. 72",
        "Psje. Los Cactus 16\n Unit 230\n Ñuñoa\n Chile 8948450",
        "Prolongación Chipre 000 Interior 340, San Arcelia los altos, BCS 17206-0375",
        "Charlottedreef 262, 5992UO Ingen",
        "8649 William Fords, Port Thomas, YT L8H8V7",
    ],
)
def test_an_address_is_found_to_its_last_part(address: str) -> None:
    assert _found(f"Maria\nSend the parcel to {address}; the door is open.") == [address]


@pytest.mark.parametrize(
    ("text", "piece", "whole"),
    [
        ("at 42 Agnew Street, Ireland H75D8CK.", "42 Agnew Street, Ireland", "H75D8CK"),
        ("in der Pflegerstr. 4, 3787 Ried im Innkreis und", "Pflegerstr. 4, 3787 Ried", "Innkreis"),
        ("at 5 Ilona Rd, Minna, PW 98184 now", "5 Ilona Rd, Minna", "PW 98184"),
        ("címem Béke utca 216., H-6217 Keresztháza.", "Béke utca 216., H-6217", "Keresztháza"),
        ("see Flat 28, Scott Forge Apt. 578", "28, Scott Forge Apt. 578", "Apt. 578"),
    ],
)
def test_what_a_model_leaves_of_an_address_goes_with_it(text: str, piece: str, whole: str) -> None:
    start = text.index(piece)
    found = whole_addresses(text, [Finding(start, start + len(piece), "STREET_ADDRESS", 0.9, "m")])
    assert len(found) == 1
    assert text[found[0].start : found[0].end].endswith(whole)
    assert "Flat" not in text or text[found[0].start :].startswith("Flat")


@pytest.mark.parametrize(
    "text",
    [
        "Section 12, RFC 2119 defines the words.",
        "Windows 10 Version 1909 and Office 365 Home were tested.",
        "The Park 3 release of 5 Rocky Mountain hikes was read by 12 Quick Springs fans.",
        "Route 66 runs west; Area 51 does not.",
    ],
)
def test_numbered_things_are_no_addresses(text: str) -> None:
    assert _found(text) == []


@pytest.mark.parametrize("bait", ["Rua ", "Av. 7 N° ", "calle de la ", "12 Park ", "A-", "\n> "])
def test_cost_grows_with_the_length_alone(bait: str) -> None:
    assert is_within(10, lambda: _found(bait * (100_000 // len(bait))))


def _person(text: str, name: str) -> Finding:
    return Finding(text.index(name), text.index(name) + len(name), "PERSON", 0.9, "model")


@pytest.mark.parametrize(
    ("text", "name", "whole"),
    [
        ("said Erick W. Souza today", "Erick", "Erick W. Souza"),
        ("naar Riley van Voorhout en", "Riley", "Riley van Voorhout"),
        ("\nAntónio Sá\nPraça Monteiro", "António", "António Sá"),
        ("then Anna Left\nthe room", "Anna", "Anna"),
        ("Anna came.", "Anna", "Anna"),
    ],
)
def test_a_surname_goes_with_its_first_name(text: str, name: str, whole: str) -> None:
    (found,) = completed(text, [_person(text, name)])
    assert text[found.start : found.end] == whole


def test_a_list_of_names_and_the_name_before_an_address_are_candidates() -> None:
    text = "Obecni byli: Paweł Wydrych, Jeremi Wydmuch i Dominik Kordus."
    (names,) = lists(text)
    assert [text[s:e] for s, e in names] == ["Paweł Wydrych", "Jeremi Wydmuch", "Dominik Kordus"]
    text = "Stuur het naar Mats Meeusen, Kaibaan 769"
    assert [text[s:e] for s, e in before_streets(text, [text.index("Kaibaan")])] == ["Mats Meeusen"]


def test_a_street_at_the_end_of_a_sentence_leaves_it_its_full_stop() -> None:
    """Else a second pass finds more than the pseudonym that the first wrote."""
    text = "Deliver to 137 Rumbevane Street. Ring the bell."
    (found,) = Scanner(("STREET_ADDRESS",)).find(text)
    assert text[found.start : found.end] == "137 Rumbevane Street"
