"""People who do not exist, as strangers would write of them: to see what k-anonymity leaves.

Obituaries, CVs, dating profiles, news, medical notes, first sentences of encyclopedias, forms,
records and first persons. Written without a look at the patterns; `FORMS` has since been used to
mend them, `UNSEEN` was put aside. Names, titles, firms and postcodes come from Faker, seeded.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.biographies import MONTHS

FORMS: tuple[Any, ...] = (
    # obituaries
    "{name} ({year}\u20132024), who taught half of {city} to swim, died on Tuesday. A {job} by"
    " trade, {she} spent three decades at {firm}. {She} is survived by two children.",
    "It is with great sadness that we announce the passing of {name} of {city}, aged {age}. {She} "
    "worked as {a_job} until retirement and never missed a Sunday service.",
    "In loving memory of {name}, born {dob_us} in {city}. Devoted {wife}, retired {job}, "
    "passed peacefully at home at the age of {age}.",
    "{name}, {age}, formerly of {city}, {job} with {firm} for most of {her} working life. "
    "Funeral at noon on Friday.",
    # CVs
    "CURRICULUM VITAE\n\nName: {name}\nDate of birth: {dob_dot}\nNationality: {nation}\n"
    "Address: 12 Mill Lane, {postcode} {city}\n\nEmployment history\n2015-present  {Job}, {firm}\n",
    "{name}\n{city} {postcode}\n\nProfile\nExperienced {job} with a track record at {firm}. "
    "Born {dob_long}. {nation} passport holder.",
    "Professional summary: {Job} based in {city}. Currently at {firm}. Personal details: {sex}, "
    "{nation}, d.o.b. {dob_slash}.",
    "# {name}\n\n- **Role:** {Job}\n- **Company:** {firm}\n- **Location:** {city}\n- **Age:** {age}"
    "\n- **Citizenship:** {country}",
    # dating profiles
    "Hey there! {age} y/o {job} here, living in {city}. {nation} roots, love hiking and cheap wine."
    " Looking for someone to share bad films with.",
    "{First}, {age}, {city}. {Job}. Swipe right if you like dogs.",
    "Single {woman}, {age}, {job}, {city} area, seeks kind soul for walks. Not too tall.",
    "About me: I'm a {nation} {woman} in {her} forties, {age} to be exact, working as {a_job} for "
    "{firm}. I moved to {city} two years ago.",
    # news portraits
    "At {age_words}, {name} has no plans of slowing down. The {city}-based {job} gets up at four "
    "every morning, and {her} colleagues at {firm} have stopped asking why.",
    "{city}: A {age}-year-old {job} was taken to hospital yesterday after a fall. The {woman}, a "
    "{nation} national, is employed at {firm}.",
    "\u201cI never thought it would happen to me,\u201d says {name}, {age}, a "
    "{job} from {city}. {She} won the lottery last week.",
    "When {name} left {country} in the spring of 2009, {she} had a suitcase and a diploma. Today "
    "the {age}-year-old runs a small team at {firm} in {city}, where {she} is {a_job}.",
    "{name}, the {job} whose video went viral, lives quietly in {city} with {her} family. {She} "
    "turned {age} in March.",
    "Neighbours described the suspect as a quiet {nation} {woman} of about {age}, employed as "
    "{a_job} in {city}.",
    # medical vignettes
    "A {age}-year-old {nation} {woman}, {job} by profession, presents with a three-day history of "
    "fever. {She} lives alone in {city}.",
    "Pt is a {age}yo {F}, occupation {job}, resides {city} {postcode}. DOB {dob_us_slash}. Denies "
    "smoking. BP 130/80.",
    "Case 14. {Woman}, {age} years, {job}. Employer: {firm}. Referred from {city} with back pain.",
    "History: this {age} yr old {job} of {nation} origin was well until May. {Her} employer, "
    "{firm}, granted sick leave.",
    "Patient {name}, DOB: {dob_iso}, postcode {postcode}, sex {F}, presented to A&E. Works in "
    "{city} as {a_job}.",
    # encyclopedia
    "{name} (born {dob_long}) is a {nation} {job} from {city}.",
    "{name} (born {dob_us}, {city}) is a {nation} {job} and amateur painter, best known for {her} "
    "work at {firm}.",
    "{name} (* {dob_de} in {city}) ist {job_de}.",
    "{name} was a {nation} {job}. Born in {city} in {year}, {she} joined {firm} straight out of "
    "school.",
    # forms with labels
    "First name: {First}\nSurname: {Last}\nGender: {F}\nD.O.B.: {dob_slash}\nTown: {city}\n"
    "Post code: {postcode}\nJob title: {Job}\nName of employer: {firm}\nCountry of citizenship: "
    "{country}",
    "Applicant\n  Age ........ {age}\n  Sex ........ {sex}\n  Place of residence ........ {city}\n"
    "  Present occupation ........ {Job}\n",
    "NAME {name} | AGE {age} | CITY {city} | ZIP {postcode} | TRADE {Job}",
    "Claimant's details. Date of Birth {dob_long}. Home town {city}. Current job {job}. Works for "
    "{firm}. Nationality {nation}.",
    "<b>Age</b>: {age}<br><b>Hometown</b>: {city}<br><b>Profession</b>: {Job}<br><b>Works at</b>: "
    "{firm}",
    # records
    '{{"first_name": "{First}", "gender": "{sex}", "birthDate": "{dob_iso}", "address": {{"city": '
    '"{city}", "postalCode": "{postcode}"}}, "jobTitle": "{Job}", "organisation": "{firm}"}}',
    "id;name;sex;dob;town;zip;profession;company\n1;{name};{F};{dob_dot};{city};{postcode};{Job};"
    "{firm}",
    "{name}\t{age}\t{sex}\t{city}\t{Job}\t{nation}",
    '"{Last}, {First}", {age}, "{city}, {postcode}", "{Job}", {nation}',
    "person:\n  age: {age}\n  city: {city}\n  occupation: {Job}\n  employer: {firm}\n",
    "<person><age>{age}</age><city>{city}</city><job>{Job}</job><nationality>{nation}"
    "</nationality></person>",
    # first person
    "Hi everyone, I'm {First}! I'm {age_words} and I work at {firm} as {a_job}. I was born in "
    "{country} but {city} has been home for years.",
    "My name is {name}. I was born on the {dob_ordinal} and grew up in {city}. By day I am {a_job};"
    " by night I write.",
    "As {a_job} in {city}, I see a lot. I'm {nation}, {age}, and I have been with {firm} since the "
    "beginning.",
    "I live in {city} ({postcode}) and I just turned {age}. My employer {firm} is letting {job}s "
    "go. What are my rights?",
    "So I ({age}{F}) had a row with my boss at {firm}. I'm a {job}, we're in {city}. AITA?",
    # letters and the rest
    "Dear Ms Hall, I am writing on behalf of my {daughter}, {First}, aged {age}, of {city} "
    "{postcode}, who has been {a_job} at {firm} since 2018.",
    "Our new starter {name} joins us from {firm}. {She} is {nation}, has lived in {city} most of "
    "{her} life and trained as {a_job}.",
    "{Title} {Last} is {age}. {Title} {Last} is {a_job}. {She} comes from {city}.",
    "Contact: {name}, {Job}, {firm}, {city}, {postcode}",
    {
        "text": "Interview notes. The respondent, {a_job}, spoke freely of {her} work.",
        "metadata": {"age": "{age}", "city": "{city}", "gender": "{sex}"},
    },
    {
        "text": "{name} told us of {her} life at {firm}.",
        "metadata": {
            "title": "Portrait of a {city} {job}",
            "birthDate": "{dob_iso}",
            "nationality": "{nation}",
        },
    },
    {"text": "Notes.", "metadata": {"date_of_birth": "{dob_dot}", "zip_code": "{postcode}"}},
)
"""Texts, or documents; fields as in `_fields`."""

UNSEEN: tuple[Any, ...] = (
    "Family and friends gathered in {city} on Saturday to bid farewell to {name}, {job}, union "
    "member and proud {nation}-born {woman}, dead at {age}.",
    "{name} slipped away on 2 March after a short illness, {age} years young. A native of {city}, "
    "{she} made {her} living as {a_job}.",
    "Remembering {First} {Last}: {dob_long} to 4 June 2024. {She} was {a_job} at {firm} and a "
    "pillar of {city}.",
    "Résumé of {name}. Objective: a post as senior {job}. Experience: {firm} ({Job}, 8 years). "
    "Lives: {city}. Citizen of {country}. Born: {dob_us}.",
    "{name}, {Job}\n{firm} \u00b7 {city} \u00b7 {postcode}\nDate of birth {dob_dot}, {nation}",
    "{Woman}, {age}, would like to meet someone nice. I'm {a_job}, originally from {country}, now "
    "in {city}.",
    "Name's {First}. {age} years on this planet, most of them in {city}. I pay my bills as {a_job}"
    " and my boss is {firm}.",
    "Police have named the driver as {name}, {age}, of {city}. The {job} was on the way home from "
    "a shift at {firm}.",
    "The jury heard that {name}, a {nation} {job} aged {age}, had moved to {city} with {her} "
    "husband in 2011.",
    "For {name}, retirement can wait: the {job}, who will be {age} in May, still cycles across "
    "{city} to {firm} each day.",
    "{age} year old {F}, {nation}, {job}. Seen in clinic with knee pain. Lives in {city} with "
    "partner.",
    "This {woman} of {age} works as {a_job} in {city} and complains of insomnia. No known "
    "allergies.",
    "{name}, born in {city} on {dob_long}, is a {nation} {job} who works for {firm}.",
    "{name} ({city}, {dob_long}) is a retired {nation} {job}.",
    "Family name: {Last}\nGiven name: {First}\nBorn on: {dob_dot}\nSex: {F}\nResidence: {city}, "
    "{postcode}\nOccupation: {Job}\nEmployed by: {firm}\nNationality: {nation}",
    "Q: Age? A: {age}. Q: Occupation? A: {Job}. Q: Where do you live? A: {city}. Q: Postcode? A: "
    "{postcode}.",
    "| Age | Sex | City | Occupation | Employer |\n|---|---|---|---|---|\n| {age} | {sex} | {city} "
    "| {Job} | {firm} |",
    '[{{"dob": "{dob_iso}", "sex": "{F}", "home_town": "{city}", "postal_code": "{postcode}", '
    '"profession": "{Job}", "works_for": "{firm}"}}]',
    "age,gender,nationality,occupation,city,postcode\n{age},{sex},{nation},{Job},{city},{postcode}",
    "I'm a {age_words}-year-old {job} from {city}, and this is my story. My parents came here from "
    "{country}.",
    "I've been with {firm} for ten years now, as {a_job}. I'm {nation} and I live near {city}. "
    "{age} last birthday!",
    "We are looking for {name}, {age}, missing from {her} home in {city} since Monday. {She} is "
    "{nation} and works as {a_job}.",
    "My {daughter} {First} ({age}) is {a_job} and lives in {city}. {She} works for {firm}.",
    "{Title} {Last}, our {nation} {job}, came to {firm} from {city}. {She} celebrates {her} "
    "{age}th birthday next week.",
    {
        "text": "A conversation with {a_job} about night shifts.",
        "metadata": {"dob": "{dob_iso}", "postcode": "{postcode}", "employer": "{firm}"},
    },
    {
        "text": "{name} lives in {city}.",
        "metadata": {"Age": "{age}", "Sex": "{F}", "Occupation": "{Job}"},
    },
)
"""Never looked at while the patterns were written or mended."""

NATIONS = (
    ("German", "Germany"), ("French", "France"), ("Polish", "Poland"), ("Brazilian", "Brazil"),
    ("Irish", "Ireland"), ("Nigerian", "Nigeria"), ("Indian", "India"), ("Dutch", "Netherlands"),
    ("Turkish", "Turkey"), ("Vietnamese", "Vietnam"), ("Canadian", "Canada"),
    ("Filipino", "Philippines"), ("Welsh", "Wales"), ("Iraqi", "Iraq"),
)  # fmt: skip
CITIES = (
    "London", "Manchester", "Berlin", "Chicago", "Lyon", "Glasgow", "Sheffield", "New York",
    "San Francisco", "Reading", "Bath", "Birmingham", "Hamburg", "Seville", "Stoke-on-Trent",
    "Newcastle upon Tyne", "St Albans", "Frankfurt", "Rio de Janeiro", "Hebden Bridge", "Kirkwall",
)  # fmt: skip
JOBS = (
    "nurse", "teacher", "electrician", "taxi driver", "software developer", "accountant", "chef",
    "hairdresser", "lorry driver", "midwife", "paralegal", "farmer", "bricklayer", "pharmacist",
    "estate agent", "barista", "lighthouse keeper", "tree surgeon", "court usher", "dog groomer",
)  # fmt: skip
FIRMS = (
    "Tesco", "Siemens", "the NHS", "Barclays", "Leeds City Council", "Amazon", "St Mary's Hospital",
    "Northern Rail", "the University of York", "Smith & Sons", "Deutsche Bahn",
)  # fmt: skip
ONES = "one two three four five six seven eight nine".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
GENDERED = {
    "female": {"she": "she", "her": "her", "woman": "woman", "wife": "wife", "F": "F",
               "daughter": "daughter", "Title": "Mrs", "sex": "female"},
    "male": {"she": "he", "her": "his", "woman": "man", "wife": "husband", "F": "M",
             "daughter": "son", "Title": "Mr", "sex": "male"},
}  # fmt: skip


GERMAN_MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
    "November", "Dezember",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """A document, and what is true of the person in it."""

    document: dict[str, Any]
    """text, and sometimes title and metadata."""
    form: int
    """Which of the forms it was made with."""
    frame: str
    """The form itself, in lower case."""
    truth: dict[str, dict[str, str]]
    """attribute -> what may be read in the document -> what an outsider then knows."""


def portraits(count: int, forms: Sequence[Any], seed: int = 3) -> Iterator[Portrait]:
    """So many documents; values as uneven as among people."""
    from faker import Faker

    chance = random.Random(seed)
    makers = [Faker(locale) for locale in ("en_US", "en_GB", "de_DE")]
    for maker in makers:
        maker.seed_instance(seed)
    for number in range(count):
        fields = _person(chance, chance.choice(makers))
        form = forms[number % len(forms)]
        document = form if isinstance(form, dict) else {"text": form}
        yield Portrait(
            document=_filled(document, fields),
            form=number % len(forms),
            frame=str(form).lower(),
            truth=_truth(fields),
        )


def _person(chance: random.Random, maker: Any) -> dict[str, str]:
    def one(values: Sequence[Any]) -> Any:
        return values[min(int(chance.paretovariate(0.8)) - 1, len(values) - 1)]

    sex = chance.choice(["female", "male"])
    first = maker.first_name_female() if sex == "female" else maker.first_name_male()
    last = maker.last_name()
    job = chance.choice([one(JOBS), one(JOBS), maker.job().lower()])
    nation, country = one(NATIONS)
    # no day of a month is a number that is an age too
    age, day, month = chance.randint(29, 89), chance.randint(1, 28), chance.randint(1, 12)
    year, month_name = 2025 - age, MONTHS[month - 1]
    fields = GENDERED[sex] | {
        "First": first,
        "Last": last,
        "name": f"{first} {last}",
        "age": str(age),
        "age_words": TENS[age // 10 - 2] + (f"-{ONES[age % 10 - 1]}" if age % 10 else ""),
        "job": job,
        "Job": job[0].upper() + job[1:],
        "a_job": f"{'an' if job[0] in 'aeiou' else 'a'} {job}",
        "job_de": "Lehrerin" if sex == "female" else "Lehrer",
        "city": chance.choice([one(CITIES), one(CITIES), maker.city()]),
        "firm": chance.choice([one(FIRMS), maker.company()]),
        "nation": nation,
        "country": country,
        "postcode": maker.postcode(),
        "year": str(year),
        "dob_long": f"{day} {month_name} {year}",
        "dob_us": f"{month_name} {day}, {year}",
        "dob_iso": f"{year}-{month:02}-{day:02}",
        "dob_dot": f"{day:02}.{month:02}.{year}",
        "dob_slash": f"{day:02}/{month:02}/{year}",
        "dob_us_slash": f"{month}/{day}/{year}",
        "dob_de": f"{day}. {GERMAN_MONTHS[month - 1]} {year}",
        "dob_ordinal": f"{day}th of {month_name} {year}",
    }
    return fields | {key.capitalize(): fields[key].capitalize() for key in ("she", "her", "woman")}


def _truth(fields: dict[str, str]) -> dict[str, dict[str, str]]:
    gendered = "she her woman wife F daughter Title sex".split()
    dates = {fields[key]: fields["dob_iso"] for key in fields if key.startswith("dob_")}
    return {
        "age": {fields["age"]: fields["age"], fields["age_words"]: fields["age"]},
        "sex": {fields[key]: fields["sex"] for key in gendered},
        "birth_date": dates | {fields["year"]: fields["year"]},
        "postcode": {fields["postcode"]: fields["postcode"]},
        "city": {fields["city"]: fields["city"]},
        "nationality": {fields["nation"]: fields["nation"], fields["country"]: fields["nation"]},
        "occupation": {fields["job"]: fields["job"], fields["job_de"]: "Lehrer"},
        "employer": {fields["firm"]: fields["firm"]},
    }


def _filled(form: Any, fields: dict[str, str]) -> Any:
    if isinstance(form, dict):
        return {key: _filled(value, fields) for key, value in form.items()}
    return str(form).format(**fields)


def visible(document: dict[str, Any], portrait: Portrait) -> tuple[tuple[str, ...], ...]:
    """What an outsider who knows the truth reads: for each attribute its value, whole or in part,
    or its labels; metadata count as text."""
    metadata = dict(document.get("metadata") or ())
    text = "\n".join([document["text"], *metadata.values()])
    bare = re.sub(r"<[A-Z_]+(?: [^<>]*)?>", " ", text).lower()
    seen = []
    for name, readings in portrait.truth.items():
        known = {what for value, what in readings.items() if _stands(value, bare)}
        # the words of a value that has several; some of them may stand in the form itself
        if not known and name in ("city", "occupation", "employer"):
            words = re.findall(r"[^\W\d_]{4,}", " ".join(readings).lower())
            known = {word for word in words if word not in portrait.frame and _stands(word, bare)}
        labels = set(re.findall(f"<{name.upper()} ([^<>]+)>", text))
        labels |= _generalised(name, metadata)
        if known or labels:
            # the most exact alone, if it says the rest
            exact = sorted(known, key=lambda what: (-len(what), what))[:1]
            seen.append((name, *exact, *sorted(labels - known)))
    return tuple(seen)


def _stands(value: str, text: str) -> bool:
    return re.search(rf"(?<!\w)(?<!\d-){re.escape(value.lower())}(?!\w|-\d)", text) is not None


def _generalised(name: str, metadata: dict[str, str]) -> set[str]:
    """What stands less exactly at a key of metadata, which has no labels."""
    keys = {"age": ("age",), "birth_date": ("birthDate", "date_of_birth", "dob"), "city": ("city",),
            "postcode": ("zip_code", "postcode")}.get(name, ())  # fmt: skip
    return {metadata[key] for key in keys if metadata.get(key)}


def rare(
    documents: Sequence[dict[str, Any]], people: Sequence[Portrait], k: int
) -> tuple[list[int], list[int]]:
    """The documents whose combination stands in fewer than k of them; then those whose combination
    is not shown by k documents even if these may show more."""
    seen = [visible(*pair) for pair in zip(documents, people, strict=True)]
    sizes = Counter(seen)
    holders: dict[tuple[str, ...], set[int]] = {}
    for number, what in enumerate(seen):
        for value in what:
            holders.setdefault(value, set()).add(number)
    exactly = [number for number, what in enumerate(seen) if what and sizes[what] < k]
    occurs = {
        what: len(set.intersection(*(holders[value] for value in what))) for what in sizes if what
    }
    return exactly, [number for number in exactly if occurs[seen[number]] < k]
