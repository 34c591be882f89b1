"""Nationalities: adjectives as texts have them, their countries, and the countries' regions."""

# By region of the world (the United Nations' M49, joined where a region is small): country code and
# the adjectives for it.
_TABLE = {
    "Northern Europe": (
        "GB British English Scottish Welsh; IE Irish; SE Swedish; NO Norwegian; DK Danish; FI "
        "Finnish; IS Icelandic; EE Estonian; LV Latvian; LT Lithuanian"
    ),
    "Western Europe": (
        "DE German; FR French; NL Dutch; BE Belgian; LU Luxembourgish; CH Swiss; AT Austrian; LI "
        "Liechtensteiner; MC Monegasque"
    ),
    "Southern Europe": (
        "IT Italian; ES Spanish; PT Portuguese; GR Greek; MT Maltese; HR Croatian; SI Slovenian; "
        "RS Serbian; BA Bosnian; ME Montenegrin; MK Macedonian; AL Albanian; XK Kosovar; AD "
        "Andorran; SM Sammarinese; CY Cypriot"
    ),
    "Eastern Europe": (
        "PL Polish; CZ Czech; SK Slovak; HU Hungarian; RO Romanian; BG Bulgarian; UA Ukrainian; "
        "BY Belarusian; MD Moldovan; RU Russian"
    ),
    "Northern Africa": (
        "MA Moroccan; DZ Algerian; TN Tunisian; LY Libyan; EG Egyptian; SD Sudanese"
    ),
    "Sub-Saharan Africa": (
        "NG Nigerian; GH Ghanaian; KE Kenyan; ET Ethiopian; TZ Tanzanian; UG Ugandan; RW Rwandan; "
        "ZA South-African; ZW Zimbabwean; ZM Zambian; MZ Mozambican; AO Angolan; CM Cameroonian; "
        "SN Senegalese; ML Malian; CI Ivorian; SO Somali; CD Congolese; NA Namibian; BW "
        "Botswanan; MW Malawian; MG Malagasy; ER Eritrean; GM Gambian; SL Sierra-Leonean; LR "
        "Liberian; TG Togolese; BJ Beninese; NE Nigerien; TD Chadian; BF Burkinabe; GN Guinean; "
        "GA Gabonese; MU Mauritian; BI Burundian; LS Basotho; SZ Swazi; CV Cape-Verdean; DJ "
        "Djiboutian"
    ),
    "Western Asia": (
        "TR Turkish; SA Saudi; AE Emirati; IL Israeli; PS Palestinian; JO Jordanian; LB Lebanese; "
        "SY Syrian; IQ Iraqi; KW Kuwaiti; QA Qatari; BH Bahraini; OM Omani; YE Yemeni; GE "
        "Georgian; AM Armenian; AZ Azerbaijani"
    ),
    "Central and Southern Asia": (
        "IN Indian; PK Pakistani; BD Bangladeshi; LK Sri-Lankan; NP Nepalese Nepali; AF Afghan; "
        "IR Iranian; KZ Kazakh; UZ Uzbek; KG Kyrgyz; TJ Tajik; TM Turkmen; BT Bhutanese; MV "
        "Maldivian"
    ),
    "Eastern and South-eastern Asia": (
        "CN Chinese; JP Japanese; KR South-Korean Korean; KP North-Korean; TW Taiwanese; HK "
        "Hongkonger; MN Mongolian; VN Vietnamese; TH Thai; ID Indonesian; MY Malaysian; SG "
        "Singaporean; PH Filipino Filipina Philippine; MM Burmese; KH Cambodian; LA Laotian Lao; "
        "BN Bruneian; TL Timorese"
    ),
    "Northern America": ("US American; CA Canadian; BM Bermudian; GL Greenlandic"),
    "Latin America and the Caribbean": (
        "MX Mexican; BR Brazilian; AR Argentine Argentinian; CL Chilean; CO Colombian; PE "
        "Peruvian; VE Venezuelan; EC Ecuadorian; BO Bolivian; PY Paraguayan; UY Uruguayan; CR "
        "Costa-Rican; PA Panamanian; GT Guatemalan; HN Honduran; NI Nicaraguan; SV Salvadoran; CU "
        "Cuban; DO Dominican; HT Haitian; JM Jamaican; TT Trinidadian; BB Barbadian; BS Bahamian; "
        "GY Guyanese; SR Surinamese; BZ Belizean; PR Puerto-Rican"
    ),
    "Oceania": (
        "AU Australian; NZ New-Zealand; FJ Fijian; PG Papua-New-Guinean; WS Samoan; TO Tongan"
    ),
}

_NATIONALS = (
    "GB Briton Brit Englishman Englishwoman Scot Scotsman Scotswoman Welshman Welshwoman; IE "
    "Irishman Irishwoman; SE Swede; DK Dane; FI Finn; IS Icelander; DE Deutscher Deutsche; FR "
    "Frenchman Frenchwoman; NL Dutchman Dutchwoman; LU Luxembourger; ES Spaniard; HR Croat; SI "
    "Slovene; RS Serb; PL Pole; TR Turk; NZ New-Zealander; AR Argentinean; AE Emirian; BD Bengali"
)
"""What somebody of a country is called, where that is not the adjective."""
NATIONALITIES: dict[str, str] = {}
"""Adjective in lower case -> ISO 3166 code of the country."""
NATIONALS: set[str] = set()
"""The nouns among them, in lower case."""
REGIONS: dict[str, str] = {}
"""Code of a country -> region of the world."""

for _region, _entries in _TABLE.items():
    for _entry in _entries.split(";"):
        _code, *_adjectives = _entry.split()
        REGIONS[_code] = _region
        NATIONALITIES.update({a.replace("-", " ").casefold(): _code for a in _adjectives})
for _entry in _NATIONALS.split(";"):
    _code, *_nouns = _entry.split()
    NATIONALS.update(noun.replace("-", " ").casefold() for noun in _nouns)
    NATIONALITIES.update({noun.replace("-", " ").casefold(): _code for noun in _nouns})
