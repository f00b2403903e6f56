"""Settings of a recipe from the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_training.errors import RecipeError
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import differences, fingerprint, recipe_data
from edgeocr_training.recipes import recipe_functions, recipe_named
from edgeocr_training.settings import setting_keys, with_settings


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """A field of every kind that a recipe may have."""

    text: str = "a"
    path: Path = Path("a")
    whole: int = 1
    real: float = 1.0
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    limit: int | None = 3
    names: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    corners: tuple[tuple[int, int], ...] = ()
    table: dict[str, int] | None = None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("text=b = c", "b = c"),
        ("text=", ""),
        ("path=b/c", Path("b/c")),
        ("whole=-3", -3),
        ("real=1e-3", 1e-3),
        ("flag=true", True),
        ("flag=False", False),
        ("choice=b", "b"),
        ("colour=blue", Colour.BLUE),
        ("limit=7", 7),
        ("limit=none", None),
        ("names=a", ("a",)),
        ("names=a, b", ("a", "b")),
        ('names=["a,b", "c"]', ("a,b", "c")),
        ("names=", ()),
        ("pair=2,3.5", (2.0, 3.5)),
        ("corners=[[1, 2], [3, 4]]", ((1, 2), (3, 4))),
        ("table=none", None),
    ],
)
def test_a_text_is_read_as_its_field_is_typed(tiny: Recipe, setting: str, value: object) -> None:
    recipe = with_settings(_with_kinds(tiny), [f"task.{setting}"])
    found = getattr(recipe.task, setting.partition("=")[0])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("whole=1.5", "a whole number"),
        ("whole=", "a whole number"),
        ("real=x", "a number"),
        ("real=nan", "a finite number"),
        ("real=inf", "a finite number"),
        ("flag=1", "true or false"),
        ("choice=c", "one of a, b"),
        ("colour=green", "one of red, blue"),
        ("limit=x", "a whole number, or none"),
        ("pair=1", "2 values"),
        ("pair=1,2,3", "2 values"),
        ("names=[a", "JSON list"),
        ("corners=1,2", "2 values"),
        ("table=x", "cannot be set"),
        ("text.more=1", "no parts"),
    ],
)
def test_a_text_of_another_type_is_refused(tiny: Recipe, setting: str, fault: str) -> None:
    key = setting.partition("=")[0].partition(".")[0]
    with pytest.raises(RecipeError, match=fault) as error:
        with_settings(_with_kinds(tiny), [f"task.{setting}"])
    assert f"task.{key}" in str(error.value)


def _with_kinds(recipe: Recipe) -> Recipe:
    values: dict[str, Any] = {name: getattr(recipe, name) for name in recipe.__slots__}
    return Recipe(**{**values, "task": Kinds()})


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("epoch=3", r"no setting 'epoch'. Did you mean epochs\? There are: .*batch_size"),
        ("optimizer.lr=3", "There are: optimizer.kind, optimizer.learning_rate"),
        ("optimizer=adam", "has parts; set one of them: optimizer.kind"),
        ("epochs", "key=value"),
        ("=3", "no setting ''"),
        ("epochs=0", "epochs is 0; it is at least 1"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate is -1.0"),
        ("ema_decay=1", "ema_decay"),
        ("checkpoint_minutes=0", "checkpoint_minutes"),
        ("schedule.warm_up_epochs=3", "warm_up_epochs is 3.0; the run has only 3"),
    ],
)
def test_what_makes_no_recipe_is_refused(tiny: Recipe, setting: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        with_settings(tiny, [setting])


def test_settings_may_be_valid_only_together(tiny: Recipe) -> None:
    recipe = with_settings(tiny, ["schedule.kind=piecewise", "schedule.boundaries=1,2.5"])
    assert recipe.schedule.boundaries == (1.0, 2.5)
    assert tiny.schedule.kind == "cosine", "the recipe itself was changed"


def test_the_last_of_two_settings_counts(tiny: Recipe) -> None:
    assert with_settings(tiny, ["epochs=5", "epochs=6"]).epochs == 6


def test_a_part_and_what_is_in_it_cannot_both_be_set(tiny: Recipe) -> None:
    with pytest.raises(RecipeError, match="as a whole"):
        with_settings(tiny, ["evaluation=none", "evaluation.seed=3"])


@pytest.mark.parametrize("name", sorted(recipe_functions()))
def test_every_recipe_has_its_name_and_takes_its_own_values_as_settings(name: str) -> None:
    """So no field of a registered recipe has a type that cannot be read."""
    recipe = recipe_named(name)
    assert recipe.name == name
    assert recipe.description
    settings = []
    for key in setting_keys(recipe):
        value: Any = recipe_data(recipe)
        for part in key.split("."):
            value = value[part]
        if isinstance(value, list):
            value = json.dumps(value)
        settings.append(f"{key}={value}")
    assert with_settings(recipe, settings) == recipe


@given(
    rate=st.floats(1e-9, 1e9), size=st.integers(1, 10**9), limit=st.none() | st.floats(1e-6, 1e6)
)
def test_a_value_that_is_written_is_read(rate: float, size: int, limit: float | None) -> None:
    recipe = with_settings(
        recipe_named("det_ic15"),
        [f"optimizer.learning_rate={rate}", f"batch_size={size}", f"optimizer.clip_norm={limit}"],
    )
    assert recipe.optimizer.learning_rate == rate
    assert recipe.batch_size == size
    assert recipe.optimizer.clip_norm == limit


def test_the_fingerprint_changes_with_what_decides_the_weights_alone(tiny: Recipe) -> None:
    ours = recipe_data(tiny)
    for setting, decides in (
        ("workers=3", False),
        ("checkpoint_minutes=1", False),
        ("seed=1", True),
        ("task.dropout=0.5", True),
        ("optimizer.l2=0", True),
    ):
        theirs = recipe_data(with_settings(tiny, [setting]))
        assert (fingerprint(theirs) != fingerprint(ours)) == decides, setting
        assert bool(differences(theirs, ours)) == decides, setting
    assert differences(recipe_data(with_settings(tiny, ["seed=1"])), ours) == ["seed: 1, not 0"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("det_ic16", "no recipe 'det_ic16'; there are: .*det_ic15"),
        ("nowhere.py:tiny", "no file"),
        ("", "no recipe ''"),
    ],
)
def test_a_recipe_that_does_not_exist_is_refused(name: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        recipe_named(name)


@pytest.mark.parametrize(
    ("stem", "content", "fault"),
    [
        ("faulty_recipes", "1 / 0", "ZeroDivisionError"),
        ("empty_recipes", "", "no dict RECIPES"),
        ("json", "RECIPES = {}", "another name"),
        ("other_recipes", "RECIPES = {'a': None}", "there are: a"),
    ],
)
def test_a_file_without_the_recipe_is_refused(
    tmp_path: Path, stem: str, content: str, fault: str
) -> None:
    file = tmp_path / f"{stem}.py"
    file.write_text(content)
    with pytest.raises(RecipeError, match=fault):
        recipe_named(f"{file}:b")
