"""Identifiers as people and programs write them: hidden signs, other widths, forms, cells, glue."""

import random

import pytest
from tests.cost import grows_linearly, is_within

from corpusmill.privacy.recognizers import Scanner


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner()


def found(scanner: Scanner, text: str) -> set[tuple[str, str]]:
    return {(f.entity, text[f.start : f.end]) for f in scanner.find(text)}


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("jane.doe@host\u2060mail.org", "EMAIL_ADDRESS", "jane.doe@host\u2060mail.org"),
        ("**4111 1111\u00ad 1111 1111**", "CREDIT_CARD", "4111 1111\u00ad 1111 1111"),
        ("PAN ４１１１ １１１１ １１１１ １１１１", "CREDIT_CARD", None),
        ("_4111111111111111_", "CREDIT_CARD", "4111111111111111"),
        ("Card: 4111 1111 1111\n1111", "CREDIT_CARD", "4111 1111 1111\n1111"),
        ("GB33\u202fBUKB\u202f2020\u202f1555\u202f5555\u202f55", "IBAN_CODE", None),
        ("CZ65 0800 0000 1920\n0014 5399", "IBAN_CODE", "CZ65 0800 0000 1920\n0014 5399"),
        ("邮箱是jane@host.org，谢谢", "EMAIL_ADDRESS", "jane@host.org"),
        ("이메일는 jane@host.org입니다", "EMAIL_ADDRESS", "jane@host.org"),
        ("write to jane @ host . org now", "EMAIL_ADDRESS", "jane @ host . org"),
        ("jane&#64;host.org", "EMAIL_ADDRESS", "jane&#64;host.org"),
        ("_jane(at)host(dot)org_", "EMAIL_ADDRESS", "_jane(at)host(dot)org"),
        ("jane [a] host.org", "EMAIL_ADDRESS", "jane [a] host.org"),
        ("jane ät host punkt de", "EMAIL_ADDRESS", "jane ät host punkt de"),
        ("to jane@[84.12.99.3] only", "EMAIL_ADDRESS", "jane@[84.12.99.3]"),
        ("inet ::ffff:84.12.99.3 up", "IP_ADDRESS", "::ffff:84.12.99.3"),
        ("on fe80::32a7:1a87:2075:9%eth0", "IP_ADDRESS", "fe80::32a7:1a87:2075:9%eth0"),
        ("redis://:Gx81kwQ0z@cache:6379/0", "URL", "redis://:Gx81kwQ0z@cache:6379/0"),
        ('{"lat": "48.20817", "lng": "16.37382"}', "COORDINATES", '48.20817", "lng": "16.37382'),
        ("https://maps.host.org/maps?q=48.208176,16.373819", "COORDINATES", None),
        ("T: 030 1234567", "PHONE_NUMBER", "030 1234567"),
        ("Telefon: 32.12.36.07.", "PHONE_NUMBER", "32.12.36.07"),
        ("I noted 4165 0772 5517 9, his card", "CREDIT_CARD", "4165 0772 5517 9"),
        ("X1234567 is my passport", "PASSPORT", "X1234567"),
        ("Geburtsdatum ............ 03.05.1978", "DATE_OF_BIRTH", "03.05.1978"),
        ("Data nașterii\n20 noiembrie 1949", "DATE_OF_BIRTH", "20 noiembrie 1949"),
        ("dateOfBirth: 1981-08-11", "DATE_OF_BIRTH", "1981-08-11"),
        ("[Дата народження] 3 лютого 1983", "DATE_OF_BIRTH", "3 лютого 1983"),
        ("生年月日: 昭和62年9月5日", "DATE_OF_BIRTH", "昭和62年9月5日"),
        ("生日是1986年10月1日。", "DATE_OF_BIRTH", "1986年10月1日"),
        ("护照号是E49937389", "PASSPORT", "E49937389"),
        ("Reisepass CYYPZ8FV8", "PASSPORT", "CYYPZ8FV8"),
        ("<b>ΑΦΜ</b>&nbsp;243957457<br>", "TAX_NUMBER", "243957457"),
        ("ssn: 566-17-24345", "ID_CARD", "566-17-24345"),
        ("ナンバー: 品川 300 あ 12-34", "VEHICLE_PLATE", "品川 300 あ 12-34"),
        ("Solana wallet: 7cZUYrzvg3MqcvXgkST7L4ikEKxnDEPjCoJDkSrUrQoY", "CRYPTO", None),
        ("mysql -u root -pZk8qTT17l4cD app", "PASSWORD", "Zk8qTT17l4cD"),
        ("access_token=lJEvDTDwWDlmXc9jsInq4cSihpY2zDpz&x=1", "ACCESS_KEY", None),
        ("IBANPT50000201231234567890154", "IBAN_CODE", "PT50000201231234567890154"),
        ("车牌号苏AD57931", "VEHICLE_PLATE", "苏AD57931"),
        ("...jane at host dot org...", "EMAIL_ADDRESS", "jane at host dot org"),
        ("postgres://bhavel:xxx1SmCVQI@db.kral.com:5432/app", "URL", None),
        ("curl -u admin:pOVLq4NFo3kW3 https://x", "PASSWORD", "pOVLq4NFo3kW3"),
        ("Authorization: Basic YWRtaW46dVY3eDNXeUVOZWts", "ACCESS_KEY", None),
        ("bot 7557940772:AA7FA4jAeEhLMGUKg_35j0WMZeeAmqRSY2e", "ACCESS_KEY", None),
    ],
)  # fmt: skip
def test_values_are_found_as_they_are_written(
    scanner: Scanner, text: str, entity: str, value: str | None
) -> None:
    values = {v for e, v in found(scanner, text) if e == entity}
    assert value in values if value else values


@pytest.mark.parametrize(
    "table",
    [
        "id,name,{}\n1,Jane Doe,{}\n2,Joe,\n",
        "id\tname\t{}\n1\tJane Doe\t{}\n",
        "id;{};name\n1;{};Jane\n",
        '"id","{}"\n"1","{}"\n',
        "| id | {} |\n|----|:---|\n| 1  | {} |\n",
        "+----+-----+\n| id | {} |\n+----+-----+\n| 1 | {} |\n+----+-----+\n",
        "INSERT INTO p (id, {}, name) VALUES\n(1, '{}', 'O''Hara, Jane'),\n(2, NULL, 'x');",
    ],
)
@pytest.mark.parametrize(
    ("column", "value", "entity"),
    [
        ("date_of_birth", "15. Januar 1946", "DATE_OF_BIRTH"),
        ("passport_no", "CT3RW5Y07", "PASSPORT"),
        ("pesel", "44051401458", "PL_PESEL"),
        ("taxId", "14-6751604", "TAX_NUMBER"),
        ("mobile", "86900737", "PHONE_NUMBER"),
        ("patient_id", "P458987", "MEDICAL_RECORD"),
    ],
)
def test_the_name_of_a_column_announces_its_values(
    scanner: Scanner, table: str, column: str, value: str, entity: str
) -> None:
    assert (entity, value) in found(scanner, table.format(column, value))


def test_columns_end_where_their_table_ends(scanner: Scanner) -> None:
    text = "name,patient_id\nJane,P458987\n\nThe model,P458988\nof 2019\n"
    assert found(scanner, text) == {("MEDICAL_RECORD", "P458987")}


@pytest.mark.parametrize(
    "text",
    [
        "0.4111111111111111, 1,4111111111111111 and x_4111111111111111",
        '<meta name="twitter:site" content="@host.org">',
        "the plate, figure 12,\nshows 34567890",
        "int at = vector_at_dot_index(x);",
        "fe80:: and fe80::/10 are prefixes",
        "docker run -p 8080:80 nginx:1.25.3",
        "curl -u admin:$PASSWORD https://x",
        "Lunch at 12 . Dinner @ home . well",
        "the solana validator 1.18.26 at commit 7c1e8f1a",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "ISBN 978-3-16-148410-0, DOI 10.1000/182, 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    ],
)
def test_what_only_looks_like_one_stays(scanner: Scanner, text: str) -> None:
    assert found(scanner, text) == set()


def test_tables_made_to_be_read_twice_cost_linear_time(scanner: Scanner) -> None:
    def read(rows: int) -> None:
        scanner.find("phone,dob\n" * rows + "phone;" * rows)

    read(100)
    assert grows_linearly(read, 1000)


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("to jose\u0301@corp.com now", "EMAIL_ADDRESS", "jose\u0301@corp.com"),
        ("メールはjane(at)host.orgまで", "EMAIL_ADDRESS", "jane(at)host.org"),
        ("IPアドレス84.17.44.12から", "IP_ADDRESS", "84.17.44.12"),
        ("ftp://bsingh:FdNJVUcK@host.io/pub", "URL", "ftp://bsingh:FdNJVUcK@host.io/pub"),
        ("李萍，1989-05-26出生于太原市", "DATE_OF_BIRTH", "1989-05-26"),
        ("ولد سامي في 20 فبراير 1967 في دبي", "DATE_OF_BIRTH", "20 فبراير 1967"),
        ("Jan Novák se narodil 9. srpna 1967", "DATE_OF_BIRTH", "9. srpna 1967"),
        ("Aged 44 (b. 11-12-1961), he left", "DATE_OF_BIRTH", "11-12-1961"),
        ("Am 9.6.1955 kam Dr. Hans Meier zur Welt.", "DATE_OF_BIRTH", "9.6.1955"),
        ("Personalausweisnummer: LC3WFN7K9", "ID_CARD", "LC3WFN7K9"),
        ("34 TC 8747 plakalı araç", "VEHICLE_PLATE", "34 TC 8747"),
        ("车牌号粤B·8G922", "VEHICLE_PLATE", "粤B·8G922"),
        ("رقم اللوحة: أ ب ج 252", "VEHICLE_PLATE", "أ ب ج 252"),
        ("Name/5282734522679788/04/24", "CREDIT_CARD", "5282734522679788"),
        ("Buluşma 31.19722S 70.81024W'de", "COORDINATES", "31.19722S 70.81024W"),
        ('itemprop="latitude" content="-43.709046"', "COORDINATES", "-43.709046"),
        ("Passwort: Rate72!", "PASSWORD", "Rate72!"),
        ("Contraseña: mariposa", "PASSWORD", "mariposa"),
        ("lösenord: dragonfly\nTack", "PASSWORD", "dragonfly"),
        ("Пароль от почты: Program53!", "PASSWORD", "Program53!"),
        ('db_pass = "Mother.Wu11"  # rotate', "PASSWORD", "Mother.Wu11"),
        ("我的密码是Decade12!", "PASSWORD", "Decade12!"),
        (
            "SECRET_KEY = '^z9=)ljj0h--11m5s)kh3^$#o3j%gh50()lc#^wfl$bl#nl7hs'",
            "ACCESS_KEY",
            "^z9=)ljj0h--11m5s)kh3^$#o3j%gh50()lc#^wfl$bl#nl7hs",
        ),
        ("my telephone is 022 2744\n9696, ask", "PHONE_NUMBER", "022 2744\n9696"),
        ("mein Nummer: mobil +49 171\n1234567.", "PHONE_NUMBER", "+49 171\n1234567"),
        ("Volejte 602473664", "PHONE_NUMBER", "602473664"),
        ("phone (646) 641-0426 ext. 735.", "PHONE_NUMBER", "(646) 641-0426 ext. 735"),
        ("DNI 87.939.886-F, tel.: +34 686 668 545", "PHONE_NUMBER", "+34 686 668 545"),
    ],
)
def test_values_are_found_in_the_words_of_many_languages(
    scanner: Scanner, text: str, entity: str, value: str
) -> None:
    assert (entity, value) in found(scanner, text)


def test_joined_addresses_are_found_one_by_one(scanner: Scanner) -> None:
    spans = [(f.start, f.end) for f in scanner.find("jane@corp.com" * 3)]
    assert spans == [(0, 13), (13, 26), (26, 39)]


def test_two_numbers_after_one_word_are_two(scanner: Scanner) -> None:
    assert found(scanner, "Tlf. 91 126 89 12 / 602 903 300") == {
        ("PHONE_NUMBER", "91 126 89 12"),
        ("PHONE_NUMBER", "602 903 300"),
    }


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("medical record\nOrder 20231188", "MEDICAL_RECORD"),
        ("nufus_cuzdani_no:\ndogum_tarihi: 1980-04-12\n", "ID_CARD"),
        ("Kennzeichen IP-ADRESSE 84.17.44.12", "VEHICLE_PLATE"),
        ("Password: required\n", "PASSWORD"),
        ("password: string;\n", "PASSWORD"),
        ("password = username\n", "PASSWORD"),
        ("    SECItem *password;\n    SECOidTag cipher;\n", "PASSWORD"),
        ("private_key = Ed25519PrivateKey.generate()", "ACCESS_KEY"),
        ("deps: upgrade V8 to 5.0.71.52", "IP_ADDRESS"),
        ("<path d='M1.52-.87 2.83-2.12 83.51.98.32z'/>", "IP_ADDRESS"),
        ('<h4 id="DEP0136">passing</h4>', "PASSPORT"),
        ("birthtime: 2019-06-22", "DATE_OF_BIRTH"),
        ("<Buffer 01 02 03 04 05>", "PHONE_NUMBER"),
        ("2930944*t**6 + 2198208*t", "PHONE_NUMBER"),
        ("Tel: +49 30 12345678\n12 people came", "PHONE_NUMBER"),
    ],
)
def test_the_next_field_and_code_are_no_values(scanner: Scanner, text: str, entity: str) -> None:
    values = {value for name, value in found(scanner, text) if name == entity}
    assert values <= {"+49 30 12345678"}


def test_numbers_of_no_plan_are_refused_cheaply(scanner: Scanner) -> None:
    chance = random.Random(5)
    text = "".join(
        f"ssn 0{chance.randrange(100):02d}-{chance.randrange(100):02d}-{chance.randrange(10**4)} "
        for _ in range(3000)
    )
    # some 15 seconds for each MB
    assert is_within(60 * len(text) / 1e6, lambda: scanner.find(text))
