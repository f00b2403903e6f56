from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edgeocr_benchmarks.cost_model import CostModel, PageCost, fit_cost, page_costs, predictions
from edgeocr_benchmarks.device_results import DeviceResult

MakeDeviceResult = Callable[..., DeviceResult]

# Lines, megapixels of the page, pixels of a line.
PAGES = [
    (0, 0.5, 0),
    (5, 0.5, 30_000),
    (10, 0.7, 90_000),
    (20, 1.2, 30_000),
    (40, 1.2, 60_000),
    (10, 1.2, 20_000),
    (30, 0.5, 80_000),
]
coefficient_st = st.floats(min_value=0, max_value=1000)


def pages_of(model: CostModel, shapes: list[tuple[int, float, int]] = PAGES) -> list[PageCost]:
    return [
        PageCost(
            image=f"{lines}@{megapixels}",
            lines=lines,
            megapixels=megapixels,
            text_megapixels=lines * length / 1e6,
            ms=model.predict(
                lines=lines, megapixels=megapixels, text_megapixels=lines * length / 1e6
            ),
        )
        for lines, megapixels, length in shapes
    ]


@given(st.floats(min_value=1, max_value=500), coefficient_st, coefficient_st, coefficient_st)
def test_costs_that_pages_were_made_of_are_found(
    fixed: float, line: float, pixel: float, text: float
) -> None:
    model = CostModel(
        fixed_ms=fixed, per_line_ms=line, per_megapixel_ms=pixel, per_text_megapixel_ms=text
    )
    pages = pages_of(model)
    found = fit_cost(pages)
    assert found is not None
    for page in pages:
        # Least squares in float64 over times of 1 to 45,000 ms.
        predicted = found.predict(
            lines=page.lines, megapixels=page.megapixels, text_megapixels=page.text_megapixels
        )
        assert abs(predicted / page.ms - 1) < 1e-6
    made = predictions(pages)
    assert len(made) == len(pages)
    for prediction in made:
        assert abs(prediction.error) < 1e-5


@given(
    st.lists(
        st.tuples(
            st.integers(0, 60),
            st.floats(min_value=0.1, max_value=5),
            st.floats(min_value=0, max_value=5),
            st.floats(min_value=1, max_value=1e4),
        ),
        min_size=3,
        max_size=8,
    )
)
def test_no_cost_is_negative(pages: list[tuple[int, float, float, float]]) -> None:
    costs = [
        PageCost(image="", lines=n, megapixels=p, text_megapixels=t, ms=ms) for n, p, t, ms in pages
    ]
    model = fit_cost(costs)
    if model is not None:
        assert min(model.fixed_ms, model.per_line_ms) >= 0
        assert (model.per_megapixel_ms or 0) >= 0
        assert (model.per_text_megapixel_ms or 0) >= 0


def test_terms_that_the_pages_do_not_vary_are_left_out() -> None:
    model = CostModel(
        fixed_ms=100, per_line_ms=12.5, per_megapixel_ms=None, per_text_megapixel_ms=None
    )
    found = fit_cost(pages_of(model, [(5, 1.0, 30_000), (10, 1.0, 30_000), (20, 1.0, 31_000)]))
    assert found is not None
    assert (found.per_megapixel_ms, found.per_text_megapixel_ms) == (None, None)
    assert str(found) == "100.0 ms + 12.50 ms per line"
    # Three terms vary, and there are too few pages for the third.
    found = fit_cost(pages_of(model, [(5, 1.0, 30_000), (10, 1.0, 60_000)]))
    assert found is not None
    assert found.per_text_megapixel_ms is None


def test_what_tells_no_cost_of_a_line_has_no_model() -> None:
    model = CostModel(
        fixed_ms=100, per_line_ms=12.5, per_megapixel_ms=40, per_text_megapixel_ms=None
    )
    assert fit_cost(pages_of(model, [(5, 1.0, 1), (5, 2.0, 1), (5, 3.0, 1)])) is None
    assert fit_cost(pages_of(model, [(5, 1.0, 1)])) is None
    assert fit_cost([]) is None


def test_a_page_of_a_result_is_seen_as_the_detector_saw_it(
    make_device_result: MakeDeviceResult,
) -> None:
    result = make_device_result(ms=(90.0, 100.0, 400.0), pages=(("p", 7, 320_000),))
    (cost,) = page_costs(result.runs[0].bundles[0])
    assert (cost.image, cost.lines, cost.megapixels, cost.ms) == ("p", 7, 0.32, 100.0)
    assert cost.text_megapixels == 7 * 48 * 320 / 1e6
