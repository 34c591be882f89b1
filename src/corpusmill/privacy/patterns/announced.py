"""Values that have no telling shape and follow a label that says what they are.

Dates of birth, numbers of passports, driving licences, identity cards, bank accounts and medical
records, tax numbers, vehicle plates. One table: labels in the languages of the web's larger part,
and what the value after them looks like. How label and value are joined is said in
corpusmill.privacy.patterns.labels.
"""

# Letters that look like others belong to languages.

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corpusmill.privacy.candidates import literals
from corpusmill.privacy.context import in_placeholder
from corpusmill.privacy.finding import ANNOUNCED, Finding
from corpusmill.privacy.patterns.labels import (
    CLOSE,
    DIRECT,
    LOOSE,
    NEXT_LINE,
    NUMBER_WORDS,
    SIGN,
    TAG,
    closes,
    labels,
)
from corpusmill.privacy.recognizer import Recognizer

_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|des|jän|mär|mai|okt|dez|janv|févr|fév|mars|avr"
    "|juin|juil|août|aoû|déc|ene|abr|ago|dic|gen|mag|giu|lug|set|ott|fev|out|mei|maa|maj|sty|lut"
    "|kwi|cze|lip|sie|wrz|paź|lis|gru|tammi|helmi|maalis|huhti|touko|kesä|heinä|elo|syys|loka"
    "|marras|joulu|oca|şub|nis|haz|tem|ağu|eyl|eki|kas|ara"
    "|янв|фев|мар|апр|мая|май|июн|июл|авг|сен|окт|ноя|дек|яну|юни|юли|ное|януари"
    "|січ|лют|бер|кві|тра|чер|лип|сер|вер|жов|лис|гру"
    "|led|úno|bře|dub|kvě|čer|srp|zář|říj|máj|jún|júl|már|ápr|szep|ian|iun|iul|noi"
    "|sij|velj|ožu|svi|kol|ruj|stu|pro|veebr|dets|sau|vas|kov|bal|geg|bir|lie|rgp|rug|spa"
    "|agu|ogos|ιαν|φεβ|μαρ|απρ|μαΐ|μάι|ιουν|ιουλ|αυγ|σεπ|οκτ|νοε|δεκ"
    "|जनवरी|फरवरी|फ़रवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|अक्तूबर|नवंबर"
    "|नवम्बर|दिसंबर|दिसम्बर"
    "|يناير|فبراير|مارس|أبريل|ابريل|إبريل|مايو|يونيو|يونية|يوليو|يولية|أغسطس|اغسطس|سبتمبر"
    "|أكتوبر|اكتوبر|نوفمبر"
    "|ديسمبر|كانون|شباط|آذار|نيسان|أيار|حزيران|تموز|آب|أيلول|تشرين|جانفي|فيفري|أفريل|ماي|جوان"
    "|جويلية|أوت"
)
_YEAR = r"(?:18|19|20)\d\d"
DATE = (
    rf"(?:\d{{1,2}}[./-]\s?\d{{1,2}}[./-]\s?(?:{_YEAR}|\d\d)(?!\d)"
    rf"|{_YEAR}[./-]\d{{1,2}}[./-]\d{{1,2}}(?!\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.|º|ª)?(?:\sof|\sde|\s-)?[\s-](?:{_MONTHS})\w{{0,10}}\.?,?"
    rf"(?:\sde|\sdel)?[\s-]{_YEAR}"
    rf"|(?:{_MONTHS})\w{{0,10}}\.?\s\d{{1,2}}(?:st|nd|rd|th)?,?\s{_YEAR}"
    rf"|{_YEAR}\.?\s(?:{_MONTHS})\w{{0,10}}\s\d{{1,2}}(?!\d)"
    rf"|(?:{_YEAR}|(?:明治|大正|昭和|平成|令和)\s?(?:\d{{1,2}}|元))\s?[年년]"
    r"\s?\d{1,2}\s?[月월]\s?\d{1,2}\s?[日일])"
)
"""A full date: numeric, or with a month's name."""

_WITH_DIGITS = r"(?=(?:[A-Z ,./-]{0,6}\d){%d})"
_ENDS = r"(?![A-Za-z0-9])"
_GERMAN_SERIAL = r"(?=[A-Z]{0,7}\d[A-Z]{0,6}\d)[CFGHJ-NPRTV-Z][0-9CFGHJ-NPRTV-Z]{8}"
"""Of identity cards and passports since 2007: no vowels, and few digits or many."""


@dataclass(frozen=True, kw_only=True)
class _Sort:
    """An entity that follows labels."""

    entity: str
    words: str = ""
    """Labels, separated by `|`; may be the beginning of a word. Words may stand between."""
    whole: str = ""
    """Labels that are parts of other words or have other meanings: whole, the value right after."""
    value: str
    """Regular expression of what follows; letters are capitals where it says so."""
    filler: str = LOOSE
    """Regular expression of what stands between `words` and the value."""
    ignore_case: bool = False


SORTS = (
    _Sort(
        entity="DATE_OF_BIRTH",
        words="born|birth|date of birth|d.o.b|geburtsdatum|geburtstag|geboren|né le|née le"
        "|né(e) le|naissance"
        "|nacid|nació|nacimiento|nato il|nata il|nato/a il|nascita|nascid|nasceu|nascimento"
        "|födelsedatum|födelsedag|geboortedatum|geboortedag|urodz|født|född"
        "|fødselsdato|fødselsdag|syntynyt|syntymäaika"
        "|narozen|születés|született|născut|data nașterii|родился|родилась"
        "|рождения|д.р.|г.р.|дата народження"
        "|出生|生年月日|生日|생년월일|생일|doğum|doğdu|γεννή|γέννησης|مواليد|تاريخ الميلاد|जन्म"
        "|ngày sinh|datum rođenja|rođen|narodeni|narodený|narodená|роден на|родена на"
        "|дата на раждане|народився|народилася|sünniaeg|sünnikuupäev|sündinud|gimimo data|gimęs"
        "|gimusi|dzimšanas datums|dzimis|dzimusi|dátum narodenia|datum rojstva|датум рођења"
        "|जन्मतिथि|วันเกิด|נולד"
        "|tanggal lahir|תאריך לידה|生于|生於|ولد|nato a|nata a|né à|née à|nato in|nata in"
        "|narodil|syntyi|geb.dat|geb. dat|ημ. γεν|태어난|นเกิด",
        whole="dob|d.o.b.|geb|geb.|geb.-datum|geb.-dat.|ur|ur.|bday|birthday|birthdate|geburt|nasc|nasc.|nac|nac.",
        value=DATE, ignore_case=True,
        filler=rf"(?!time)(?:[^\d\n]{{0,12}}{NEXT_LINE}|[^\d\n]{{0,12}}[.…_]{{3,60}}\s?|{SIGN}{{0,8}}+"
        rf"|[^\d\n:]{{0,12}}:(?:{TAG})?[ \t]?\r?\n[^\d\n]{{0,24}}?|[^\d\n]{{0,40}}?)"
        r"(?<![A-Za-z\u00c0-\u04ff])",
    ),
    _Sort(
        entity="PASSPORT",
        words="passport|reisepass|passeport|pasaporte|passaporto|passaporte|paspoort|paszport"
        "|passets nummer|passnummer|pass nummer|pass nr|passinumero|passin numero|pasaport"
        "|útlevél|pașaport"
        "|cestovní pas|cestovný pas|číslo pasu|putovnica|pasnummer|passinro|pases numurs"
        "|паспорта|पासपोर्ट"
        "|หนังสือเดินทาง|διαβατήρι|паспорт|护照|護照|パスポート|旅券|여권|جواز|hộ chiếu|paspor"
        "|דרכון",
        value=_WITH_DIGITS % 5
        + rf"(?:[A-Z]{{1,3}}[ -]?)?\d{{2}}[ ]?\d{{2}}[ ]?\d{{3,6}}[A-Z]?{_ENDS}|"
        + _WITH_DIGITS % 4 + rf"[A-Z0-9]{{6,12}}{_ENDS}"
        # Germany's serial numbers have few digits.
        + rf"|(?=[A-Z]{{0,7}}\d[A-Z]{{0,6}}\d)[C-Z][A-Z0-9]{{7}}\d{_ENDS}"
        + rf"|{_GERMAN_SERIAL}{_ENDS}",
        whole="passi",
    ),
    _Sort(
        entity="DRIVER_LICENSE",
        words="driver's licen|driver’s licen|driver s licen|drivers licen|driver licen"
        "|driving licen|dl number|führerschein|fahrerlaubnis|permis de conduire|carnet de conducir"
        "|permiso de conducir|licencia de conducir|patente di guida|carteira de motorista"
        "|carteira de habilitação|carta de condução|rijbewijs|prawo jazdy|prawa jazdy|körkort"
        "|førerkort|kørekort|ajokort|řidičský průkaz|jogosítvány|permis de conducere|ehliyet"
        "|sürücü belge|водительск|驾驶证|駕照|運転免許|운전면허|άδεια οδήγησης",
        whole="dl no|dl #|dl#|cnh|patente n|patente n.",
        value=_WITH_DIGITS % 5
        + rf"[A-Z0-9](?:[A-Z0-9]|[ ](?=[0-9])|[/-](?=[A-Z0-9])){{4,20}}{_ENDS}",
    ),
    _Sort(
        entity="ID_CARD",
        words="identity card|id card|identity number|id number|id no|national id"
        "|identification number|identity document|personalausweis|ausweisnummer|ausweis nr"
        "|identitätskarte|carte d'identité|carte nationale|documento de identidad"
        "|documento de identidade|carta d'identità|carta di identità|carta identità"
        "|cartão de cidadão|cartão do cidadão|cartão cidadão|bilhete de identidade"
        "|carteira de identidade|identiteitskaart|identiteitsbewijs|dowód osobisty"
        "|dowodu osobistego|dowód tożsamości|cédula|legitimation nr|legitimationsnummer"
        "|legitimationskort|id kort|id kortsnummer|henkilökort|občanský průkaz|kimlik kart"
        "|kimlik no|kimlik numara|nüfus cüzdan|személyi igazolvány|carte de identitate"
        "|αριθμός ταυτότητας|удостоверени|身份证|身分證|证件号|身分証|nr dowodu|numer dowodu"
        "|رقم الهوية|بطاقة الهوية|رقم البطاقة الشخصية|البطاقة الشخصية|الرقم القومي"
        "|بطاقة التعريف|पहचान पत्र"
        "|מספר זהות|תעודת זהות|บัตรประชาชน|cccd|cmnd",
        value=_WITH_DIGITS % 4
        + rf"[A-Z0-9](?:[A-Z0-9]|[ .-](?=[0-9])|[.-](?=[A-Z0-9])|[ ](?=[A-Z]{{2}}\d{_ENDS}))"
        rf"{{4,18}}{_ENDS}|{_GERMAN_SERIAL}{_ENDS}",
    ),
    _Sort(  # National numbers whose check digits do not hold: mistyped ones are somebody's, too.
        entity="ID_CARD",
        words="social security no|social security number|social insurance number|aadhaar"
        "|personal code|sozialversicherungsnummer|rentenversicherungsnummer|burgerservicenummer"
        "|rijksregisternummer|numéro de sécurité sociale|codice fiscale|personnummer|fødselsnummer"
        "|henkilötunnus|rodné číslo|isikukood|asmens kod|personas kod|matični broj|kimlik numara"
        "|снилс|егн|αμκα|рнокпп|身份证号|주민등록번호|マイナンバー|個人番号",
        whole="ssn|nino|curp|pesel|bsn|cpf|hetu|cpr|cnp|amka|taj",
        value=_WITH_DIGITS % 8 + rf"[0-9A-Z](?:[0-9A-Z]|[ ./-](?=[0-9A-Z])){{7,20}}{_ENDS}",
        filler=CLOSE,
    ),
    _Sort(
        entity="TAX_NUMBER",
        words="tax identification|taxpayer|tax reference|tax id|tax no|tax number|tax file"
        "|employer identification|business number|vat number|vat no|vat reg|vat id|vat nummer"
        "|gst registration|gst number|gst no|gst/hst|gst hst|steuernummer|steuer nr|steuer id"
        "|steueridentifikation|steuerliche identifikation|ust id|ust idnr|umsatzsteuer id"
        "|umsatzsteueridentifikation|uid nummer|mwst nummer|mwst nr|numéro fiscal"
        "|identification fiscale|référence fiscale|n° tva|numéro de tva|numéro tva|tva intracom"
        "|número fiscal|número de identificación fiscal|identificação fiscal|contribuinte"
        "|inscrição estadual|partita iva|p. iva|codice iva|btw nummer|btw nr|btw id|numer nip"
        "|momsregistrering|momsnummer|moms nr|momsnr|organisationsnummer|orgnr|cvr nummer"
        "|alv numero|vergi kimlik|vergi numara|vergi no|adószám|daňové identifikační|cod fiscal"
        "|taxid|vatid|y tunnus|cvr nr|org nr|st nr|eik|αφμ|еик|инн|налогов"
        "|税号|納税|统一社会信用代码|사업자등록번호",
        whole="vat|ust|tva|iva|gst|gstin|btw|nip|nif|nipc|cif|cnpj|cuit|rut|piva|vkn|abn|ird"
        "|moms|dič|utr|tin|ein|cui|oib|cvr|idno",
        value=r"(?:[A-Z]{1,4}[ -]?)?" + _WITH_DIGITS % 7
        + rf"[0-9A-Z](?:[0-9A-Z]|[ ./-](?=[0-9])|[.-](?=[A-Z]\d)|[ ](?=RT\d{{4}}))"
        rf"{{6,19}}(?:[ ](?:MWST|TVA|IVA|VAT))?{_ENDS}",
        filler=CLOSE,
    ),
    _Sort(  # Short names that much else has: the value's letters must fit.
        entity="TAX_NUMBER",
        whole="uid|rfc|bn",
        value=rf"(?:CHE[ -]?\d{{3}}\.?\d{{3}}\.?\d{{3}}(?:[ ](?:MWST|TVA|IVA))?|ATU\d{{8}}"
        rf"|[A-ZÑ&]{{3,4}}[ -]?\d{{6}}[ -]?[A-Z0-9]{{3}}|\d{{9}}[ ]?R[TPC]\d{{4}}){_ENDS}",
    ),
    _Sort(  # In groups; in one piece it needs no label.
        entity="IT_FISCAL_CODE",
        words="codice fiscale|cod. fisc.",
        whole="c.f.|cf",
        value=rf"[A-Z]{{3}}[ ][A-Z]{{3}}[ ][0-9LMNP-V]{{2}}[A-EHLMPRST][0-9LMNP-V]{{2}}[ ]"
        rf"[A-Z][0-9LMNP-V]{{3}}[ ]?[A-Z]{_ENDS}",
        filler=CLOSE,
    ),
    _Sort(
        entity="BANK_ACCOUNT",
        words="account number|account no|acct no|acct number|account #|acct #|bank account"
        "|routing number|sort code|kontonummer|konto nr|kontonr|bankverbindung|numéro de compte"
        "|compte bancaire|número de cuenta|cuenta bancaria|cuenta corriente|numero di conto"
        "|numero conto|conto corrente|número da conta|número de conta|conta bancária"
        "|conta corrente|rekeningnummer|bankrekening|numer konta|numeru konta|numer rachunku"
        "|nr konta|nr rachunku|rachunek bankowy|tilinumero|číslo účtu|bankszámlaszám"
        "|hesap numara|hesap no|cont bancar|расчетный счет|расчётный счёт|номер счета"
        "|银行账号|银行账户|口座番号|계좌번호|bank no",
        value=_WITH_DIGITS % 6 + rf"\d(?:\d|[ ,-](?=\d)){{5,34}}{_ENDS}",
    ),
    _Sort(
        entity="MEDICAL_RECORD",
        words="medical record|chart no|n° patient|patient n°"
        "|patient id|patient no|patient number|patient identifier"
        "|chart number|hospital number|hospital no|health record|health card|health insurance"
        "|medical id|member id|patientennummer|patienten nr|patienten id|fallnummer"
        "|aufnahme nr|aufnahmenummer|admission no|admission number|encounter id"
        "|krankenversicherten|versichertennummer|versicherten nr|numéro de patient"
        "|numéro patient|dossier médical|dossier patient|numéro de dossier|historia clínica"
        "|número de paciente|cartella clinica|numero paziente|tessera sanitaria|prontuário"
        "|número de utente|número do utente|número do paciente|número de processo clínico"
        "|patiëntnummer|patiënt nr|zorgpas|numer pacjenta|numeru pacjenta|historii choroby"
        "|patientnummer|journalnummer|journal nr|potilasnumero|potilastunnus|číslo pacienta"
        "|hasta numara|hasta no|dosya no|protokol no|история болезни|номер пациента"
        "|номер карты|история болезни|медкарт|id paziente|id patient|id pacienta|potilasnro"
        "|رقم الملف|الملف الطبي|ملف طبي|رقم المريض|मरीज|रोगी|מספר תיק|病历号|住院号|门诊号"
        "|患者番号|病歴|カルテ番号|診察券|환자번호|환자 번호|차트번호",
        whole="mrn|nhc|ipp",
        value=r"(?:[A-Z]{1,4}[ -]?)?" + _WITH_DIGITS % 4
        + rf"[0-9A-Z](?:[0-9A-Z]|[-/](?=[0-9A-Z])){{3,16}}{_ENDS}",
    ),
    _Sort(
        entity="VEHICLE_PLATE",
        words="车牌|車牌",
        value=rf"[\u4e00-\u9fff][A-Z][-·• ]?[A-Z0-9]{{5,6}}{_ENDS}",
        filler=CLOSE,
    ),
    _Sort(
        entity="VEHICLE_PLATE",
        words="license plate|licence plate|number plate|plate number|plate no"
        "|vehicle registration|registration plate|registration number|reg of the|reg no|tag number"
        "|kennzeichen|nummernschild|kontrollschild|immatriculation|immatriculé|plaque|matrícula"
        "|placa|targa|targato|targata|kenteken|nummerplaat|tablica rejestracyjna"
        "|tablice rejestracyjne|rejestracyjn|registreringsnummer|registreringsskylt|regnr|reg nr"
        "|nummerplåt|nummerskilt|nummerplade|rekisterinumero|rekisteritunnus|rendszám"
        "|spz|rz vozidla|registrační značka|poznávací značka|număr de înmatriculare"
        "|госномер|номерной знак"
        "|гос. номер|plaka|车牌|車牌|ナンバー|차량번호|차량 번호|licenseplate|platenumber"
        "|رقم اللوحة|رقم السيارة|لوحة السيارة|لوحة رقم|वाहन संख्या|वाहन नंबर|वाहन क्रमांक"
        "|गाड़ी संख्या|गाड़ी नंबर|ทะเบียนรถ|מספר רכב|г/н",
        whole="plate|reg. number|vehicle reg",
        value=r"(?=[^\n]{0,10}\d)(?:[\u4e00-\u9fff][A-Z][-·• ]?[A-Z0-9][ ]?[A-Z0-9]{3,5}"
        r"|[\u3040-\u9fff]{1,4} ?\d{2,3} ?[\u3040-\u309f] ?[\d·・]{1,2}-?\d{2}"
        r"|\d{2,3}[가-힣]\s?\d{4}|(?:[\u0621-\u064a] ?){2,4}[ -]?\d{1,4}"
        r"|\d{1,4} ?(?:[\u0621-\u064a] ?){2,3}"
        # Groups of letters and digits, as plates of most states have, 4 to 10 signs of both sorts.
        rf"|(?=(?:[ -]?[0-9A-ZÄÖÜА-Я]){{4,10}}{_ENDS})(?=[\d -]{{0,8}}[A-ZÄÖÜА-Я])"
        r"(?=[A-ZÄÖÜА-Я -]{0,7}\d)"
        r"(?:[A-ZÄÖÜА-Я]{1,4}|\d{1,6})(?:[ -]?(?:[A-ZÄÖÜА-Я]{1,4}|\d{1,6})){1,4}"
        rf"|\d{{2}}-\d{{2}}-[A-Z]{{2}}){_ENDS}",
    ),
)  # fmt: skip


def _finder(sort: _Sort, filler: str) -> Callable[[str, int, int], Iterator[Finding]]:
    value = f"(?i:{sort.value})" if sort.ignore_case else sort.value
    following = re.compile(rf"(?i:{filler})({value})")

    def find(text: str, start: int, end: int) -> Iterator[Finding]:
        match = following.match(text, end, end + 140)
        if not match or in_placeholder(text, start, end) or closes(text, start):
            return
        dated = sort.entity == "DATE_OF_BIRTH"
        if dated or not _ANOTHER_FIELD.search(text, end, match.start(1)):
            yield Finding(*match.span(1), sort.entity, ANNOUNCED, sort.entity.lower())

    return find


_ANOTHER_FIELD = re.compile(
    r"\n[^\n]*[^\W\d_][^\n]*[:=\t,;|]|:?[ \t]*\n[ \t]*(?!(?:"
    + NUMBER_WORDS
    + r")\b)(?-i:[A-Z][a-z]+) ?\Z",
    re.IGNORECASE,
)
"""Between a label and a number: the next line names a field of its own."""

_MINE = r"\W{0,3}\s(?:is|as|was|being) (?:the|my|our|your|his|her|their|a) (?:\w{1,12} )?\Z"


def _finder_before(sort: _Sort, joint: str = _MINE) -> Callable[[str, int, int], Iterator[Finding]]:
    value = f"(?i:{sort.value})" if sort.ignore_case else sort.value
    before = re.compile(rf"(?<![\w.])({value}){joint}")

    def find(text: str, start: int, end: int) -> Iterator[Finding]:
        """`X1234567 is my passport`."""
        match = before.search(text, max(0, start - 70), start)
        if match and not in_placeholder(text, start, end):
            yield Finding(*match.span(1), sort.entity, ANNOUNCED, sort.entity.lower())

    return find


_BORN_AFTER = re.compile(
    rf"(?<![A-Za-z0-9\u00c0-\u04ff.])({DATE})(?:[^\d\n.;]|(?<=\b[A-Za-z]{{2}})\."
    rf"|(?<=\b[A-Za-z])\.){{0,60}}\Z",
    re.IGNORECASE,
)


def born_after(text: str, start: int, end: int) -> Iterator[Finding]:
    """A date before the word: `am 9. Juni 1968 in Graz geboren`, `08.02.1965 tarihinde doğdu`."""
    match = _BORN_AFTER.search(text, max(0, start - 100), start)
    if match and not in_placeholder(text, start, end):
        yield Finding(*match.span(1), "DATE_OF_BIRTH", ANNOUNCED, "born_after")


RECOGNIZERS = (
    *(
        Recognizer(
            name=sort.entity.lower(),
            entities=(sort.entity,),
            literals=labels(sort.words, digit_after=True),
            find=_finder(sort, sort.filler),
        )
        for sort in SORTS
        if sort.words
    ),
    *(
        Recognizer(
            name=sort.entity.lower(),
            entities=(sort.entity,),
            literals=labels(sort.whole, right=True, digit_after=True),
            find=_finder(sort, DIRECT),
        )
        for sort in SORTS
        if sort.whole
    ),
    *(
        Recognizer(
            name=sort.entity.lower(),
            entities=(sort.entity,),
            literals=labels("|".join(filter(None, (sort.words, sort.whole))), digit_before=True),
            find=_finder_before(sort),
        )
        for sort in SORTS
    ),
    *(
        Recognizer(
            name=sort.entity.lower(),
            entities=(sort.entity,),
            literals=labels("plakalı", digit_before=True),
            find=_finder_before(sort, r"\s\Z"),
        )
        for sort in SORTS
        if sort.entity == "VEHICLE_PLATE"
    ),
    Recognizer(
        name="born_sign",
        entities=("DATE_OF_BIRTH",),
        literals=literals("(*|, *|; *|(b. |, b. |; b. |(b |(n. ", digit_after=True),
        find=_finder(SORTS[0], " ?"),
    ),
    Recognizer(
        name="born_after",
        entities=("DATE_OF_BIRTH",),
        literals=literals(
            "geboren|geb.|doğdu|doğumlu|geboren is|születet|syntyi|narozen|naszület|出生"
            "|生まれ|誕生"
            "|zur welt|na świat|vio la luz|ao mundo|ter wereld|태어|출생|г.р.|г. р.|года рожд"
            "|г. рожд|को जन्म|में जन्म|में पैदा",
            digit_before=True,
        ),
        find=born_after,
    ),
)
