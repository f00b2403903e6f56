from edgeocr_benchmarks.thermalservice import parse_thermalservice

# As a phone with Android 13 prints it.
PHONE = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
\tkilled: false
Thermal Status: 2
Cached temperatures:
 Temperature{mValue=30.1, mType=3, mName=skin, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=61.5, mType=0, mName=CPU0, mStatus=0}
\tTemperature{mValue=44.25, mType=3, mName=skin, mStatus=2}
\tTemperature{mValue=bad, mType=3, mName=odd, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{.type = SKIN, .name = skin, .hotThrottlingThresholds = [NaN, 40.0]}
"""


def test_status_and_what_the_hardware_states_now() -> None:
    found = parse_thermalservice(PHONE)
    assert found.status == 2
    assert found.temperatures_c == {"CPU0": 61.5, "skin": 44.25}


def test_without_the_hardware_the_cached_ones_count() -> None:
    cached = PHONE.partition("HAL Ready")[0]
    assert parse_thermalservice(cached).temperatures_c == {"skin": 30.1}


def test_other_text_says_nothing() -> None:
    for text in ("", "Can't find service: thermalservice\n", "Thermal Status: warm"):
        found = parse_thermalservice(text)
        assert (found.status, found.temperatures_c) == (None, {})
