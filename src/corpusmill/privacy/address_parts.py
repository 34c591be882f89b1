"""How the parts of an address look in many countries: house, flat, postcode, region, town, country,
and the words for street that stand before a name.

Sources: Universal Postal Union, "Postal addressing systems in member countries"; the Brazilian
post's list of kinds of street (tipos de logradouro); Colombia's "nomenclatura vial".
"""

import re

NAME = (
    r"(?:(?:St|Ste|Sta|Mt|Ft|Pto|Sto|Gral|Dr|Cnel|TP)\."
    r"|[^\W\d_a-zß-öø-ÿα-ωа-я](?:[^\W_]|['’.-](?=\w)){0,24})"
)
"""A word that begins with a capital letter."""
SMALL = (
    r"(?:de las?|de los|del?|della|delle|dei|degli|di|do|da|dos|das|des|du|von|van|der|den|am|im"
    r"|an der|ob der|an|in|bei|nad|pod|sur|sous|lès|les|la|le|los|upon|ul?)"
)
"""Small words inside the names of streets and towns."""
_NO_STREET = r"(?!(?i:apt|apartment|suite|ste|unit|flat|room|floor|box|building|bldg)\b)"
WORDS = rf"{_NO_STREET}{NAME}(?:[ -](?:{SMALL}\.? )?(?:{_NO_STREET}{NAME}|[a-z]{{1,3}}\.)){{0,4}}"
HOUSE = r"\d{1,4}(?: ?[A-Za-z](?!\w))?(?:[-/]\d{1,4}[A-Za-z]?)?(?!\w|[.,:]\d|[%°€$£])"
MARK = r"(?i:n[.º°]{1,2}|nr\.?|no\.|no(?= \d)|núm\.?|numéro|№|#|h\. ?no\.)[ ]?"
"""Before a house number."""
HOUSE_MARK = re.compile(rf"{MARK}\d{{1,5}}[A-Za-z]?(?: ?[-/] ?\d{{1,4}})?(?!\w|[.,]\d)")

UNIT_WORDS = (
    r"apt|apartment|app|apto|appartement|appartamento|ap|apartamento|studio|suite|ste|unit|flat"
    r"|room|rm|floor|level|building|bldg|block|blk|tower|box|lot|shop|office|edif|edificio|torre"
    r"|d[e]?pto|dto|departamento|interior|oficina|local|casa|piso|puerta|planta|bloque|bloco|sala"
    r"|piano|interno|int|scala|wohnung|whg|top|stiege|bâtiment|bât|étage|esc|lok|m|kv|кв|bus|lgh"
    r"|bl|sc|et|daire|kat|blok"
)
UNIT = re.compile(
    rf"(?:{UNIT_WORDS})\b\.?[ ]?(?:#|n[.º°]{{0,2}}|nr\.?)?[ ]?(?:\d{{1,5}}[A-Za-z]?|[A-Z])(?!\w)"
    r"|#[ ]?\d{1,5}(?!\w)"
    r"|\d{1,2}\.[ ]?(?:th|tv|mf|sal|em|og|stock|patro)(?!\w)"
    r"|\d{1,2}[ ]?(?:º|ª|°|\.º|er|e)"
    r"(?:[ ]?(?:étage|piso|floor|andar|[A-Z](?!\w)|izq|dcha|dto|esq))?",
    re.IGNORECASE,
)
NO_NUMBER = re.compile(r"[Ss]/[Nn](?!\w)\.?º?")
"""`sem número`, `sin número`: the house has none."""
QUARTER = re.compile(r"(?:Sur|Norte|Este|Oeste|Oriente|Poniente)(?!\w)")

_ZIP_WORD = r"(?:(?:C\.? ?P\.?|CEP|PIN(?: code)?|PLZ|ZIP|Postcode):? )?"
ZIP_FIRST = re.compile(
    rf"{_ZIP_WORD}(?:[A-Z]{{1,3}}-)?(?:\d{{5}}(?:-\d{{3}})?|\d{{6}}|\d{{8}}"
    rf"|\d{{4}}(?: ?[A-Z]{{2}}(?!\w))?|\d{{3}} \d{{2}}|\d{{2}}-\d{{3}}|\d{{4}}-\d{{3}})"
    rf"(?: - )? ?(?<=[ ])(?:{SMALL} )?{NAME}(?:[ -](?:{SMALL} )?{NAME}){{0,3}}"
    rf"(?: los (?:altos|bajos))?(?: \d{{1,2}}(?!\w))?"
)
_LETTERED_ZIP = (
    r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]\d[\dW] ?[A-Z\d]{4}"
    r"|\d{4} ?[A-Z]{2}"
)
"""United Kingdom, Canada, Ireland, Netherlands."""
LETTERED_ZIP = re.compile(rf"(?:{_LETTERED_ZIP})(?!\w|[.,]\d)")
ZIP = re.compile(
    rf"(?:{_LETTERED_ZIP}|{_ZIP_WORD}(?:[A-Z]{{1,3}}-)?(?:\d{{5}}(?:-\d{{3,4}})?|\d{{3}} \d{{2,3}}"
    r"|\d{2}-\d{3}|\d{4}-\d{3}|\d{4}|\d{6,8}))(?!\w|[.,]\d)"
)
SHORT_ZIP = re.compile(rf"\d{{3}} {NAME}(?:[ -]{NAME}){{0,2}}")
"""Iceland, Taiwan, the Faroes: three digits before a town."""
ASIAN_ZIP = re.compile(r"\d{3}-\d{4}(?!\w|-)")
"""Japan, after a town."""

_REGION = r"(?:[A-Z]{2,5}|nan|[A-Z]\. ?[A-Z]{1,3}\.?|[A-Z][a-z]{1,4}\.)"
REGION = re.compile(rf"\(?{_REGION}\)?(?!\w)")
REGION_AND_ZIP = re.compile(rf"{_REGION},? {{1,2}}(?:{ZIP.pattern})")
PROVINCE = re.compile(
    rf"\((?:okres |Kreis |prov\. |province of )?{NAME}(?: {NAME}){{0,2}}\)|/ [A-Z]{{2}}(?!\w)"
)
NAMED_REGION = re.compile(
    rf"(?:Región|Provincia|Estado|Departamento|Ciudad Autónoma|Comunidad|County|Co\.|Comitatul"
    rf"|Județul|Jud\.|Kanton|Canton|Distrito|Província|Provincie|okres)"
    rf" (?:{SMALL} )?{NAME}(?: (?:{SMALL} |[ye] )?{NAME}){{0,2}}"
)
TOWN = re.compile(
    rf"(?:{SMALL} )?{NAME}(?: ?[ -](?:{SMALL} )?{NAME}){{0,3}}(?: los (?:altos|bajos))?"
    rf"(?: \({NAME}(?: {NAME})?\))?"
)
TOWN_GOES_ON = re.compile(
    rf" (?:im|am|an der|ob der|bei|in der|nad|pod|sur|sous|lès|upon|sull['’]|nell['’]) ?{NAME}"
    rf"|(?<=[a-z])['’]{NAME}| los (?:altos|bajos)"
)
"""What a model that found a town leaves of it."""

COUNTRIES = (
    "Afghanistan|Albania|Algeria|Andorra|Angola|Argentina|Armenia|Australia|Austria|Azerbaijan"
    "|Bahrain|Bangladesh|Belarus|Belgium|Belize|Bolivia|Bosnia and Herzegovina|Botswana|Brazil"
    "|Brunei|Bulgaria|Cambodia|Cameroon|Canada|Chile|China|Colombia|Costa Rica|Croatia|Cuba|Cyprus"
    "|Czech Republic|Czechia|Denmark|Dominican Republic|Ecuador|Egypt|El Salvador|England|Estonia"
    "|Ethiopia|Finland|France|Georgia|Germany|Ghana|Greece|Greenland|Guatemala|Honduras|Hong Kong"
    "|Hungary|Iceland|India|Indonesia|Iran|Iraq|Ireland|Israel|Italy|Jamaica|Japan|Jordan"
    "|Kazakhstan|Kenya|Kuwait|Latvia|Lebanon|Liechtenstein|Lithuania|Luxembourg|Malaysia|Malta"
    "|Mexico|Moldova|Monaco|Mongolia|Montenegro|Morocco|Mozambique|Namibia|Nepal|Netherlands"
    "|The Netherlands|New Zealand|Nicaragua|Nigeria|North Macedonia|Northern Ireland|Norway|Oman"
    "|Pakistan|Panama|Paraguay|Peru|Philippines|Poland|Portugal|Qatar|Romania|Russia|Saudi Arabia"
    "|Scotland|Senegal|Serbia|Singapore|Slovakia|Slovenia|South Africa|South Korea|Spain|Sri Lanka"
    "|Sweden|Switzerland|Taiwan|Tanzania|Thailand|Tunisia|Turkey|Türkiye|Uganda|Ukraine"
    "|United Arab Emirates|United Kingdom|United States of America|United States|Uruguay|USA|U.S.A."
    "|UK|Venezuela|Vietnam|Wales|Zambia|Zimbabwe"
    "|Deutschland|Österreich|Schweiz|Suisse|Svizzera|Belgique|België|Nederland|España|Italia|Polska"
    "|Brasil|México|Česká republika|Česko|Slovensko|Danmark|Sverige|Norge|Suomi|Magyarország"
    "|România|Hrvatska|Slovenija|Ísland|Eesti|Ελλάδα|Κύπρος|Россия|Україна"
)
"""Countries as addresses end with them, in English and in the languages of the country."""
COUNTRY = re.compile(rf"(?:{COUNTRIES.replace('.', '[.]')})(?!\w)", re.IGNORECASE)
ENDS_WITH_COUNTRY = re.compile(rf" (?:{COUNTRIES.replace('.', '[.]')})\Z", re.IGNORECASE)
ENDS_WITH_REGION = re.compile(r"[a-zß-öø-ÿ] [A-Z]{2,3}\Z")
ENDS_WITH_ZIP = re.compile(
    rf"[,\n] {{0,4}}(?:[A-Z]{{1,3}}-)?(?:\d{{4,6}}|\d{{5}}-\d{{3,4}}|{_LETTERED_ZIP})\Z"
)

_STREET_KINDS = (
    r"ul|pl|al|os|ulica|plac|aleja|osiedle|rue|avenue|av|boulevard|bd|chemin|allée|impasse|quai"
    r"|via|viale|vicolo|piazza|piazzale|corso|strada|contrada|borgo|rotonda|salita|stretto"
    r"|calle|c/|cl|avenida|avda|carrera|cra|cr|kra|transversal|transv|plaza|paseo|camino|callejón"
    r"|pasaje|psje|prolongación|peatonal|privada|cerrada|andador|retorno|circuito|calzada|bulevar"
    r"|circunvalación|boulevard|eje vial|periférico|glorieta|cuesta|rambla|ronda|carrer"
    r"|rua|travessa|praça|estrada|alameda|viaduto|viela|rodovia|ladeira|avenida"
    r"|náměstí|třída|ulice|drumul|str|bulevardul|șoseaua|soseaua|calea|aleea|intrarea|splaiul|jl|jalan"
    r"|gg|số|ngõ|улица|ул|проспект|пер|вул"
)
_OTHER_KINDS = (
    r"place|largo|c|r|diagonal|diag|gang|parque|pátio|vale|campo|lago|lagoa|sítio|quadra|recanto"
    r"|vila|jardim|morro|núcleo|conjunto|condomínio|residencial|loteamento|fazenda|chácara|favela"
    r"|colônia|estação|esplanada|feira|passarela|praia|setor|trecho|trevo|vereda|distrito|área"
    r"|aeroporto|quinta|canale|incrocio|piața|urbanización|bosque|ampliación|continuación|corredor"
    r"|viaducto|poblado|vía|jl|parc|passage|cours|square|route"
)
"""Words of which other things are called as well: more must speak for an address."""
STREET_KINDS = rf"(?:{_STREET_KINDS}|{_OTHER_KINDS})"
_QUARTERS = r"(?: (?:[Ss]ur|[Nn]orte|[Ee]ste|[Oo]este))?"
_NAMED = rf"(?:{SMALL} )?(?:\d{{1,2}} (?:de )?)?{WORDS}{_QUARTERS}"
_GRID = rf"\d{{1,3}} ?[A-Z]?(?: [Bb]is)?{_QUARTERS}"
TYPED = re.compile(
    rf"(?<![\w.@/-])(?:(?P<sure>(?i:{_STREET_KINDS}))|(?i:{_OTHER_KINDS}))\.?[ ]{{1,2}}"
    rf"(?:(?:{_NAMED},?|{_GRID}) (?P<marked>{MARK}(?:{HOUSE}|\d{{1,4}}[A-Z]? ?- ?\d{{1,3}}(?!\w)))"
    rf"|{_NAMED} ?,? (?:(?P<house>{HOUSE})|(?P<none>{NO_NUMBER.pattern}))|{_NAMED})"
)
"""The kind of street, its name, its number: `Soseaua Popescu Nr. 61`, `Largo Anjos, S/N`,
`Carrera 57 # 7-71`."""
_US_SUFFIXES = (
    "alley|annex|arcade|avenue|bayou|beach|bend|bluffs?|bottom|boulevard|branch|bridge|brooks?|burgs?"
    "|bypass|camp|canyon|cape|causeway|centers?|circles?|cliffs?|club|commons?|corners?|course"
    "|courts?|coves?|creek|crescent|crest|crossing|crossroads?|curve|dale|dam|divide|drives?"
    "|estates?|expressway|extensions?|falls?|ferry|fields?|flats?|fords?|forest|forges?|forks?|fort"
    "|freeway|gardens?|gateway|glens?|greens?|groves?|harbors?|haven|heights|highway|hills?|hollow"
    "|inlet|islands?|isle|junctions?|keys?|knolls?|lakes?|land|landing|lane|lights?|loaf|locks?"
    "|lodge|loop|mall|manors?|meadows?|mews|mills?|mission|motorway|mount|mountains?|neck|orchard"
    "|oval|overpass|parks?|parkways?|pass|passage|path|pike|pines?|place|plains?|plaza|points?"
    "|ports?|prairie|radial|ramp|ranch|rapids?|rest|ridges?|river|roads?|route|row|run|shoals?"
    "|shores?|skyway|springs?|spurs?|squares?|station|stream|streets?|summit|terrace|throughway"
    "|trace|tracks?|trail|tunnel|turnpike|underpass|unions?|valleys?|viaduct|views?|villages?"
    "|ville|vista|walks?|wall|ways?|wells?"
)
"""United States Postal Service, publication 28, appendix C1."""
AMERICAN = re.compile(
    rf"(?<![\w.,/$€£%#-])\d{{1,6}} (?:{NAME} ){{1,3}}(?i:{_US_SUFFIXES})(?![\w-])"
)
KIND_BEFORE = re.compile(
    rf"(?<![^\s(>])(?:{STREET_KINDS}\.?[ ]{{1,2}}(?:{SMALL} )?|(?:{UNIT_WORDS})\.?[ ](?:\w{{1,5}}"
    r",?(?:[ ]|[ ]?\n[ ]{0,4}))?|(?:h\. ?no|no|nr|door no)\.? |plot "
    r"|\d{1,2}(?:st|nd|rd|th) )\Z",
    re.IGNORECASE,
)
"""Directly before a piece of an address: the kind of street, a flat."""
STREET_BEFORE = re.compile(
    rf"(?<![\w.@/-])(?i:{STREET_KINDS})\.?[ ](?:{SMALL} )?{NAME}(?: (?:{SMALL} )?{NAME}){{0,3}}"
    r",?[ \n]\Z"
)
"""A street's name before a piece that begins behind it: a quarter, a house, a flat."""
NUMBER_BEFORE = re.compile(
    r"(?<![\w.,/$€£%#-])(?:(?:Số|H\. ?No\.|No\.?|Plot|Door No\.) ?)?\d{1,6}"
    r"(?:/\d{1,4}){0,2}[A-Za-z]?,? \Z"
)
