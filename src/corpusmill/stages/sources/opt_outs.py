"""Whether a page's makers have opted out of what is done here: robots rules, TDM reservation.

Robots rules come in `X-Robots-Tag` headers and robots meta tags, in one syntax: rules between
commas, in any case; `BOT: rule, rule` concerns that bot only, to the end of that one value. `noai`
and `noimageai` are conventions of large platforms, `noindex` and `none` (noindex and nofollow) of
search engines.
The TDM Reservation Protocol (W3C community group, final report of 2024) has a header and a meta tag
`tdm-reservation` with `1`, reserved, or `0`, not; anything else is an error and says nothing.
"""

import re
from collections.abc import Iterable, Mapping

from corpusmill.stages.sources.limits import Dropped

_REASONS = {
    "noai": "opt_out_noai",
    "tdm": "opt_out_tdm",
    "noimageai": "opt_out_noimageai",
    "noindex": "opt_out_noindex",
}
"""By how plainly they speak of training on text: of several, the first is the reason given."""

_PARAMETER = re.compile(r"\b(?:unavailable_after|max-[a-z-]{1,30})\s{0,9}:\s{0,9}[^\s,]*")
"""Rules with a value, which is no rule by itself (`max-image-preview: none`) and whose name is no
bot. A page that has become unavailable since was still open to the crawler that took it."""

_BOT = re.compile(r"\s*([a-z*][^\s:,]*)\s*:")
"""The name of a bot in front of its rules; times of day begin with a digit."""

_EVERY_BOT = ("*", "robots")


def opt_out(robots: Iterable[str], tdm: Iterable[str]) -> str | None:
    """The reason why a page is not to be used, or None.

    The strictest statement holds where header and page disagree.

    Args:
        robots: values of X-Robots-Tag headers and robots meta tags, one string for each.
        tdm: values of tdm-reservation headers and meta tags.
    """
    rules = {rule for value in robots for rule in _rules(value)}
    if "none" in rules:
        rules.add("noindex")
    if any(value.strip() == "1" for value in tdm):
        rules.add("tdm")
    return next((reason for rule, reason in _REASONS.items() if rule in rules), None)


def judge_meta(meta: Mapping[str, str]) -> None:
    """Judge a page by its meta tags: names (or `http-equiv`) in lower case, repeated ones one to
    a line.

    Raises:
        Dropped: its makers have opted out.
    """
    robots = [*_lines(meta, "robots"), *_lines(meta, "x-robots-tag")]
    reason = opt_out(robots, _lines(meta, "tdm-reservation"))
    if reason:
        raise Dropped(reason, 1, 0)


def _lines(meta: Mapping[str, str], name: str) -> list[str]:
    return meta.get(name, "").split("\n")


def _rules(value: str) -> set[str]:
    """The rules in one value that concern every bot."""
    rules: set[str] = set()
    for piece in _PARAMETER.sub(" ", value.lower()).split(","):
        bot = _BOT.match(piece)
        if bot and bot[1] not in _EVERY_BOT:
            break  # what follows concerns that bot
        rules.update(piece[bot.end() if bot else 0 :].replace(";", " ").split())
    return rules
