"""What a training draws from the grid, and the CO2 of that: an estimate, by codecarbon, offline.

codecarbon asks the processor's counters where it may read them; otherwise it multiplies how busy
the machine is by what its processor is made for, and adds a figure for the memory. It looks at the
whole machine, other programs included, and takes the yearly mix of a country's electricity.
"""

import logging
from typing import Any, NamedTuple

from corpusmill.errors import UsageError


class Energy(NamedTuple):
    """Estimated."""

    kwh: float
    co2_kg: float

    def __add__(self, other: object) -> "Energy":
        """Of both together."""
        if not isinstance(other, Energy):
            return NotImplemented
        return Energy(self.kwh + other.kwh, self.co2_kg + other.co2_kg)


NONE = Energy(0.0, 0.0)


def require_codecarbon(country: str) -> None:
    """Raise UsageError unless codecarbon is installed and knows the country's electricity."""
    _quiet()
    try:
        from codecarbon.input import DataSource
    except ModuleNotFoundError:
        raise UsageError(
            "energy: needs codecarbon: pip install 'corpusmill[energy]', or leave `energy` off"
        ) from None
    source: Any = DataSource()  # type: ignore[no-untyped-call]
    if country not in source.get_global_energy_mix_data():
        raise UsageError(
            f"country: codecarbon knows no electricity of {country!r}; it wants three letters "
            "(ISO 3166-1), such as DEU, FRA or USA"
        )


def _quiet() -> None:
    """It would log what it finds out about the machine."""
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)


class EnergyMeter:
    """Measures in threads of its own from the beginning to `close`."""

    def __init__(self, country: str) -> None:
        _quiet()
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.output_methods.base_output import BaseOutput

        class Noted(BaseOutput):
            energy = NONE

            def out(self, total: Any, delta: Any) -> None:
                self.energy = Energy(float(total.energy_consumed), float(total.emissions))

        self._noted = Noted()
        # what is not given here it takes from the environment and from files in the home folder:
        # places to send results to, and a service that it would ask for the mix of electricity
        self._tracker = OfflineEmissionsTracker(
            country_iso_code=country,
            country_2letter_iso_code=None,
            region=None,
            cloud_provider=None,
            cloud_region=None,
            electricitymaps_api_token="",
            emissions_endpoint=None,
            output_methods=[],
            output_handlers=[self._noted],
            output_dir=".",
            tracking_mode="machine",
            allow_multiple_runs=True,
            log_level="critical",
        )
        self._tracker.start()

    def read(self) -> Energy:
        """Since the beginning."""
        self._tracker.flush()
        return self._noted.energy

    def close(self) -> None:
        """End the threads."""
        self._tracker.stop()
