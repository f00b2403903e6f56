"""What Android's ``dumpsys thermalservice`` says of heat.

The text has no format that anyone promises; these parts of it have stood since Android 10:

    Thermal Status: 0
    Current temperatures from HAL:
        Temperature{mValue=38.2, mType=0, mName=CPU0, mStatus=0}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STATUS_NAMES: Final = (
    "none",
    "light",
    "moderate",
    "severe",
    "critical",
    "emergency",
    "shutdown",
)
"""Of android.os.PowerManager's THERMAL_STATUS constants."""

_STATUS: Final = re.compile(r"^\s*Thermal Status:\s*(\d+)\s*$", re.MULTILINE)
_SECTION: Final = re.compile(r"^\s*Current temperatures from HAL:\s*$", re.MULTILINE)
_TEMPERATURE: Final = re.compile(r"^\s*Temperature\{(.*)\}\s*$")
_FIELD: Final = re.compile(r"m(Value|Name)=([^,}]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalService:
    """How hot a phone is, and how hot it feels."""

    status: int | None
    """0 (none) to 6 (shutdown), see :data:`STATUS_NAMES`; from 2 on, clocks are held back. None
    where the text has none."""
    temperatures_c: Mapping[str, float]
    """By the name of the sensor; those that the hardware states now, else those cached."""


def parse_thermalservice(text: str) -> ThermalService:
    """Reads the output of ``dumpsys thermalservice``; what it lacks is left out."""
    status = _STATUS.search(text)
    section = _SECTION.search(text)
    return ThermalService(
        status=int(status[1]) if status else None,
        temperatures_c=_temperatures(text[section.end() :] if section else text),
    )


def _temperatures(text: str) -> dict[str, float]:
    """Of the first block of temperatures; cached ones and thresholds stand in other blocks."""
    found: dict[str, float] = {}
    for row in text.splitlines():
        entry = _TEMPERATURE.match(row)
        if entry is None:
            if found and row.strip():
                break
            continue
        fields = dict(_FIELD.findall(entry[1]))
        try:
            found[fields["Name"].strip()] = float(fields["Value"])
        except (KeyError, ValueError):
            continue
    return found
