"""What members of an archive or repository are called, when several have one path."""

from collections import Counter

import xxhash


class MemberNames:
    """Gives each member a place of its own, in the order in which they come.

    A path that comes again gets the next number that no earlier member has: of `a`, `a` and a
    member whose path is `a#2`, the second is `a#2` and the third `a#2#2`. Hashes are kept, not
    paths: paths may be as long as the archive's author likes.
    """

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()  # that a path has come again
        self._taken = {_hash("")}  # the place of the archive itself

    def place_of(self, path: str) -> str:
        """The place of the next member, whose path this is."""
        place, key = path, _hash(path)
        while _hash(place) in self._taken:
            self._times[key] += 1
            place = f"{path}#{self._times[key] + 1}"
        self._taken.add(_hash(place))
        return place


def _hash(path: str) -> int:
    return xxhash.xxh3_128_intdigest(path.encode("utf-8", "surrogatepass"))
