import pytest

from edgeocr_benchmarks.roofline import BOARDS, CORES, device_peak_gmacs, no_peak, peak_gmacs

PHONE = {
    "cpu": ["4 x Cortex-A55", "2 x Cortex-A76"],
    "cpuinfo_max_freq": {str(cpu): "1800000" if cpu < 4 else "2200000" for cpu in range(6)},
}


def test_peaks_of_boards_by_hand() -> None:
    # 4 cores x 8 MAC x 1.5 GHz; x 32 MAC x 2.4 GHz; float has a half and a quarter.
    expected = {"Raspberry Pi 4 Model B": (48.0, 24.0), "Raspberry Pi 5 Model B": (307.2, 76.8)}
    for name, (int8, fp32) in expected.items():
        board = BOARDS[name]
        for precision, peak in (("int8", int8), ("fp32", fp32), ("fp16", fp32)):
            found = peak_gmacs(board.core, cores=board.cores, mhz=board.mhz, precision=precision)
            assert found == pytest.approx(peak)
    assert all(board.core in CORES for board in BOARDS.values())


def test_the_cores_that_were_used_count() -> None:
    both = device_peak_gmacs(PHONE, cores=(4, 5), threads=2, precision="int8")
    assert both == pytest.approx(2 * 32 * 2.2)
    mixed = device_peak_gmacs(PHONE, cores=(3, 4), threads=2, precision="int8")
    assert mixed == pytest.approx(16 * 1.8 + 32 * 2.2)
    one = device_peak_gmacs(PHONE, cores=(), threads=1, precision="fp32")
    assert one == pytest.approx(4 * 1.8)


def test_a_known_board_that_states_no_clock_runs_at_its_usual_one() -> None:
    board = {"board": "Raspberry Pi 5 Model B Rev 1.0"}
    peak = device_peak_gmacs(board, cores=(2, 3), threads=2, precision="int8")
    assert peak == pytest.approx(2 * 32 * 2.4)
    slower = {**board, "cpu": ["4 x Cortex-A76"], "cpuinfo_max_freq": {"3": "1500000"}}
    assert device_peak_gmacs(slower, cores=(3,), threads=1, precision="int8") == 48.0
    # A 3 B+ is no 3 B.
    plus = {"board": "Raspberry Pi 3 Model B Plus Rev 1.3"}
    assert device_peak_gmacs(plus, cores=(), threads=1, precision="int8") is None


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"cpu": ["2 x AMD EPYC"], "cpuinfo_max_freq": {"0": "3000000", "1": "3000000"}},
        {"cpu": ["4 x Cortex-A76"]},
        {**PHONE, "cpuinfo_max_freq": {"0": "1800000"}},
    ],
)
def test_no_peak_is_guessed(environment: dict[str, object]) -> None:
    assert device_peak_gmacs(environment, cores=(1,), threads=1, precision="int8") is None


def test_why_there_is_no_peak() -> None:
    assert "x86-64" in no_peak({"architecture": "x86_64", "cpu": ["2 x AMD EPYC"]})
    assert "states no clock" in no_peak({"architecture": "aarch64", "cpu": ["4 x Cortex-A76"]})
