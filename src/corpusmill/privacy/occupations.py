"""Occupations: titles as texts have them, and the major group of ISCO-08 that each belongs to."""

import re

MAJOR_GROUPS = {
    1: "managers",
    2: "professionals",
    3: "technicians",
    4: "clerks",
    5: "service and sales workers",
    6: "farmers and foresters",
    7: "craft workers",
    8: "machine operators and drivers",
    9: "elementary workers",
    0: "armed forces",
}
"""ISCO-08 (International Labour Organization 2012), major groups."""

_TABLE = {
    1: (
        "manager, director, managing director, chief executive, executive, ceo, cfo, cto, head of "
        "department, project manager, product manager, sales manager, marketing manager, hotel "
        "manager, restaurant manager, store manager, headteacher, principal, senator, mayor, "
        "politician, minister, founder, entrepreneur, business owner, president, politician, dean"
    ),
    2: (
        "accountant, actuary, analyst, anaesthetist, architect, archaeologist, archivist, artist, "
        "astronomer, attorney, auditor, author, barrister, biologist, botanist, business analyst, "
        "cardiologist, chemist, civil engineer, composer, computer scientist, conductor, "
        "consultant, copywriter, curator, data scientist, dentist, dermatologist, designer, "
        "developer, doctor, economist, editor, electrical engineer, engineer, geologist, graphic "
        "designer, high school teacher, historian, interpreter, journalist, judge, lawyer, "
        "lecturer, librarian, linguist, mathematician, mechanical engineer, meteorologist, "
        "midwife, musician, nurse, neurologist, nutritionist, optometrist, paediatrician, pastor, "
        "pathologist, pediatrician, pharmacist, philosopher, photographer, physician, physicist, "
        "physiotherapist, pianist, poet, priest, primary school teacher, producer, professor, "
        "programmer, prosecutor, psychiatrist, psychologist, radiologist, reporter, researcher, "
        "scientist, sculptor, singer, social worker, sociologist, software developer, software "
        "engineer, solicitor, speech therapist, statistician, surgeon, surveyor, systems analyst, "
        "teacher, translator, tutor, veterinarian, vet, violinist, web developer, writer, actor, "
        "actress, dancer, painter, occupational therapist, registered nurse, school teacher, "
        "university lecturer, urban planner"
    ),
    3: (
        "athlete, bookkeeper, broker, chef de partie, coach, dental hygienist, draughtsman, "
        "estate agent, fitness instructor, footballer, gallery technician, insurance agent, "
        "interior designer, laboratory technician, lab technician, legal assistant, medical "
        "assistant, optician, paralegal, paramedic, personal trainer, pilot, police inspector, "
        "real estate agent, sales representative, ship's captain, stockbroker, support "
        "technician, technician, trader, air traffic controller, network administrator, systems "
        "administrator, web technician"
    ),
    4: (
        "administrative assistant, bank clerk, bank teller, cashier clerk, clerk, data entry "
        "clerk, office assistant, office clerk, office manager, payroll clerk, personal "
        "assistant, postman, receptionist, secretary, telephone operator, typist, mail carrier, "
        "librarian assistant"
    ),
    5: (
        "barber, bartender, beautician, barista, bus conductor, butler, care worker, caregiver, "
        "carer, cashier, childminder, chef, cook, flight attendant, firefighter, florist, guide, "
        "hairdresser, housekeeper, lifeguard, nanny, police officer, policeman, policewoman, "
        "prison officer, sales assistant, salesman, salesperson, saleswoman, security guard, shop "
        "assistant, shopkeeper, steward, stewardess, teaching assistant, tour guide, travel "
        "guide, undertaker, waiter, waitress, nursing assistant"
    ),
    6: (
        "beekeeper, farmer, fisherman, forester, gardener, hunter, landscape gardener, rancher, "
        "shepherd, vintner, winemaker, fisher"
    ),
    7: (
        "baker, blacksmith, bricklayer, builder, butcher, cabinet maker, carpenter, cobbler, "
        "electrician, glazier, goldsmith, jeweller, joiner, locksmith, mason, mechanic, "
        "metalworker, painter and decorator, plasterer, plumber, potter, printer, roofer, "
        "shoemaker, stonemason, tailor, tiler, toolmaker, upholsterer, watchmaker, welder, car "
        "mechanic, auto mechanic, seamstress"
    ),
    8: (
        "assembler, bus driver, crane operator, driver, factory worker, forklift driver, lorry "
        "driver, machine operator, machinist, miner, sailor, taxi driver, train driver, truck "
        "driver, tram driver, delivery driver, courier"
    ),
    9: (
        "car washer, cleaner, dishwasher, farm worker, hotel porter, janitor, kitchen assistant, "
        "kitchen porter, labourer, laborer, maid, packer, porter, refuse collector, street "
        "sweeper, street vendor, warehouse worker, window cleaner, construction worker"
    ),
    0: (
        "army officer, captain, colonel, general, lieutenant, major, marine, naval officer, "
        "sergeant, soldier, air force officer"
    ),
}

_OTHER_LANGUAGES = {
    1: (
        "geschäftsführer, geschäftsführerin, bürgermeister, bürgermeisterin, directeur, "
        "directrice, gérant, maire, gerente, directora, alcalde, empresario, empresaria"
    ),
    2: (
        "krankenschwester, krankenpfleger, lehrer, lehrerin, arzt, ärztin, zahnarzt, zahnärztin, "
        "ingenieur, ingenieurin, anwalt, anwältin, rechtsanwalt, rechtsanwältin, architekt, "
        "architektin, apotheker, apothekerin, tierarzt, tierärztin, journalistin, hebamme, "
        "sozialarbeiter, sozialarbeiterin, bibliothekar, bibliothekarin, übersetzer, "
        "übersetzerin, richter, richterin, softwareentwickler, softwareentwicklerin, "
        "informatiker, informatikerin, wissenschaftler, wissenschaftlerin, künstler, künstlerin, "
        "schriftsteller, schriftstellerin, musiker, musikerin, schauspieler, schauspielerin, "
        "professorin, infirmière, infirmier, enseignante, enseignant, professeur, professeure, "
        "institutrice, instituteur, médecin, dentiste, ingénieur, ingénieure, avocate, avocat, "
        "architecte, pharmacien, pharmacienne, vétérinaire, journaliste, sage-femme, "
        "bibliothécaire, traducteur, traductrice, juge, informaticien, informaticienne, "
        "développeur, développeuse, chercheur, chercheuse, écrivain, musicien, musicienne, "
        "acteur, actrice, enfermera, enfermero, maestra, maestro, profesor, profesora, médico, "
        "médica, ingeniero, ingeniera, abogado, abogada, arquitecto, arquitecta, farmacéutico, "
        "farmacéutica, veterinario, veterinaria, periodista, comadrona, bibliotecario, "
        "bibliotecaria, traductor, traductora, juez, informático, informática, científico, "
        "científica, escritor, escritora, músico, actriz"
    ),
    3: (
        "techniker, technikerin, makler, maklerin, polizist, polizistin, technicien, "
        "technicienne, pilote, técnico, técnica, piloto"
    ),
    4: (
        "sekretär, sekretärin, bürokauffrau, bürokaufmann, bankkauffrau, bankkaufmann, "
        "buchhalter, buchhalterin, secrétaire, comptable, facteur, secretaria, secretario, "
        "contable, recepcionista, cartero"
    ),
    5: (
        "koch, köchin, kellner, kellnerin, friseur, friseurin, verkäufer, verkäuferin, "
        "erzieher, erzieherin, altenpfleger, altenpflegerin, feuerwehrmann, cuisinier, "
        "cuisinière, serveur, serveuse, coiffeur, coiffeuse, vendeur, vendeuse, aide-soignante, "
        "policier, policière, pompier, cocinero, cocinera, camarero, camarera, peluquero, "
        "peluquera, vendedor, vendedora, policía, bombero"
    ),
    6: (
        "landwirt, landwirtin, bauer, bäuerin, gärtner, gärtnerin, förster, agriculteur, "
        "agricultrice, jardinier, jardinière, agricultor, agricultora, jardinero, jardinera, "
        "pescador"
    ),
    7: (
        "bäcker, bäckerin, metzger, tischler, tischlerin, schreiner, schreinerin, elektriker, "
        "elektrikerin, klempner, mechaniker, mechanikerin, schneider, schneiderin, maurer, "
        "boulanger, boulangère, boucher, menuisier, charpentier, électricien, électricienne, "
        "plombier, mécanicien, maçon, panadero, panadera, carnicero, carpintero, carpintera, "
        "electricista, fontanero, mecánico, albañil, sastre"
    ),
    8: (
        "busfahrer, busfahrerin, lkw-fahrer, taxifahrer, taxifahrerin, chauffeur de taxi, "
        "chauffeur de bus, conducteur de bus, chauffeur, camionero, taxista, conductor de autobús"
    ),
    9: ("putzfrau, reinigungskraft, hausmeister, femme de ménage, concierge, limpiadora, conserje"),
    0: ("soldat, soldatin, offizier, militaire, soldado, militar"),
}
"""The commonest, in German, French and Spanish, in both genders."""

_HEADS = {
    2: (
        "therapist, adviser, advisor, planner, banker, conservator, specialist, practitioner, "
        "illustrator, animator, counsellor, surgeon, underwriter, trainer, lobbyist, consultant, "
        "mentor, fundraiser, publisher, strategist, chaplain"
    ),
    3: (
        "officer, administrator, technologist, inspector, controller, buyer, operator, agent, "
        "representative, assessor, associate, treasurer, comptroller, coordinator, organiser, "
        "examiner, presenter, merchandiser, adjuster, dealer, forwarder, hygienist, "
        "supervisor, superintendent, registrar, bookseller"
    ),
    5: "worker, assistant, usher, warden, ranger, keeper, groomer, runner, contractor, handler",
}
"""What titles end in; alone a title as well."""
FIELDS = frozenset(
    "academic administration adult advertising aeronautical agricultural airline amenity "
    "analytical arts audiological automotive banking biomedical broadcasting building "
    "buildings care ceramics charities chartered chemical chemicals child children children's "
    "childrens civil clinical commercial commissioning communications community company "
    "computer construction consulting corporate counselling criminal customer dance dental "
    "design diagnostic digital disability drama drilling early education educational "
    "electrical electronics emergency energy engineering english environmental estates events "
    "exercise exhibition family fashion finance financial food forensic furniture further "
    "general geriatric glass government graphic health higher historic horticultural hospital "
    "hospitality housing human humanities hydrographic industrial infant insurance interior "
    "international jewellery junior land language learning legal leisure life literature local "
    "logistics magazine maintenance management manufacturing marine maritime marketing "
    "materials mathematics maths mechanical media medical mental military minerals mining "
    "molecular multimedia museum music nature naval needs newspaper nuclear nursing "
    "nutritional occupational operational operations paediatric palliative petroleum physical "
    "physics physiological planning political pottery practice primary prison private "
    "probation process product production psychiatric public quality quantity radio rail "
    "railway research residential retail rural sales school science sciences secondary "
    "security senior service services site social software spatial special speech sport sports "
    "structural supply surgical systems tax technical technology telecommunications television "
    "textile textiles theatre therapeutic tourism trade transport travel union veterinary "
    "video voluntary volunteer water web welfare wildlife youth".split()
)
"""Words for what a title is about: teacher, adult education; engineer, civil (consulting)."""


LEARNED = re.compile(r"(?:ologist|icist|iatrist|apist|ographer|ician|metrist)$")
"""Single words that are occupations by their ending."""


_NO_TITLE_WORDS = frozenset(
    "a an the as is was are my her his our their your and or in at by for from who i he she they "
    "old working retired former new".split()
)


def is_title(phrase: str) -> bool:
    """Is that a title, as a list has it or by its last word?"""
    words = phrase.casefold().split()
    plain = all(re.fullmatch(r"[^\W\d_][^\W\d_'/-]*", word) for word in words)
    if not plain or not 0 < len(words) <= 4 or not _NO_TITLE_WORDS.isdisjoint(words):
        return False
    last = words[-1]
    return " ".join(words) in OCCUPATIONS or last in OCCUPATIONS or bool(LEARNED.search(last))


def in_fields(words: str) -> bool:
    """Is that a field of work, of at most five words?"""
    each = re.findall(r"[^\W\d_][\w'-]*", words)
    return 0 < len(each) <= 5 and words.islower() and not FIELDS.isdisjoint(each)


OCCUPATIONS: dict[str, int] = {
    title.strip(): group
    for table in (_HEADS, _OTHER_LANGUAGES, _TABLE)
    for group, titles in table.items()
    for title in titles.split(",")
}
"""Title in lower case -> number of the major group."""
