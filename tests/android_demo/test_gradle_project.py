"""What can be known of the Gradle project without the Android SDK: its files fit each other."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import tomllib

from edgeocr_benchmarks.targets import adb

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "android_demo"
ANDROID = "{http://schemas.android.com/apk/res/android}"
RESOURCES = {
    "app": (DEMO / "app/src/main/res", DEMO / "platform/src/main/res"),
    "offline": (DEMO / "offline/src/main/res", DEMO / "platform/src/main/res"),
}
SOURCES = {
    app: (DEMO / app / "src/main/java", DEMO / "platform/src/main/java") for app in RESOURCES
}


def code(app: str) -> str:
    files = [p for folder in SOURCES[app] for s in ("*.java", "*.kt") for p in folder.rglob(s)]
    assert len(files) > 5
    return "\n".join(path.read_text() for path in files)


def defined(app: str) -> set[str]:
    """Resources of an app: "string/live", "id/preview", ..."""
    names = set()
    for folder in RESOURCES[app]:
        for path in folder.rglob("*.xml"):
            if path.parent.name == "values":
                for element in ElementTree.parse(path).getroot():
                    names.add(f"{element.tag}/{element.get('name')}")
            else:
                names.add(f"{path.parent.name}/{path.stem}")
                names.update(f"id/{name}" for name in re.findall(r"@\+id/(\w+)", path.read_text()))
    return names


def used(app: str) -> set[str]:
    names = {"/".join(pair) for pair in re.findall(r"\bR\.(\w+)\.(\w+)", code(app))}
    names -= {name for name in names if f"android.R.{name.replace('/', '.')}" in code(app)}
    files = [path for folder in RESOURCES[app] for path in folder.rglob("*.xml")]
    for path in [*files, DEMO / app / "src/main/AndroidManifest.xml"]:
        names |= {"/".join(pair) for pair in re.findall(r"\"@(\w+)/(\w+)\"", path.read_text())}
    return names


@pytest.mark.parametrize("app", sorted(RESOURCES))
def test_every_resource_is_defined_and_used(app: str) -> None:
    there, wanted = defined(app), used(app)
    assert wanted - there == set()
    assert there - wanted == set()


@pytest.mark.parametrize("app", sorted(RESOURCES))
def test_every_class_that_xml_names_is_there(app: str) -> None:
    ours = set(re.findall(r"\bclass (\w+)", code(app)))
    manifest = ElementTree.parse(DEMO / app / "src/main/AndroidManifest.xml")
    named = [element.get(f"{ANDROID}name", "") for element in manifest.iter()]
    classes = {name[1:] for name in named if name.startswith(".")}
    assert classes == {"DemoApplication", "MainActivity", "BenchmarkActivity"}
    for folder in RESOURCES[app]:
        for path in folder.rglob("layout/*.xml"):
            tags = (element.tag for element in ElementTree.parse(path).iter())
            classes |= {
                tag.rpartition(".")[2] for tag in tags if tag.startswith("io.github.edgeocr")
            }
    assert classes <= ours


@pytest.mark.parametrize("app", sorted(RESOURCES))
def test_the_app_is_the_one_that_the_harness_starts(app: str) -> None:
    manifest = ElementTree.parse(DEMO / app / "src/main/AndroidManifest.xml")
    (activity,) = (
        element
        for element in manifest.iter("activity")
        if element.get(f"{ANDROID}name") == ".BenchmarkActivity"
    )
    assert activity.get(f"{ANDROID}exported") == "true"
    assert activity.get(f"{ANDROID}permission") == "android.permission.DUMP"
    assert adb.APP == "io.github.edgeocr.demo"
    for text in (
        (DEMO / "offline/src/main/AndroidManifest.xml").read_text(),
        (DEMO / "app/build.gradle.kts").read_text(),
    ):
        assert f'"{adb.APP}"' in text


def test_both_apps_ask_for_the_camera_and_nothing_else() -> None:
    for app in RESOURCES:
        manifest = ElementTree.parse(DEMO / app / "src/main/AndroidManifest.xml")
        permissions = [
            element.get(f"{ANDROID}name") for element in manifest.iter("uses-permission")
        ]
        assert permissions == ["android.permission.CAMERA"]


def test_every_library_of_the_catalogue_is_used_and_defined() -> None:
    catalogue = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text())
    scripts = "\n".join(path.read_text() for path in DEMO.rglob("*.gradle.kts"))
    wanted = set(re.findall(r"\blibs\.([\w.]+?)(?=[\s).]*(?:\)|\.get\(\)))", scripts))
    there = {name.replace("-", ".") for name in catalogue["libraries"]}
    there |= {f"plugins.{name.replace('-', '.')}" for name in catalogue["plugins"]}
    assert wanted - {"versions.litert"} == there
    referred = {
        entry["version"]["ref"]
        for table in ("libraries", "plugins")
        for entry in catalogue[table].values()
    }
    assert referred == set(catalogue["versions"])


def test_litert_is_one_that_reads_and_runs_on_android_6() -> None:
    catalogue = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text())
    assert catalogue["libraries"]["litert"]["module"] == "com.google.ai.edge.litert:litert"
    # 2.0.x has no Interpreter; 2.3.2 has one, from Android 6 on.
    assert catalogue["versions"]["litert"] == "2.3.2"
    assert "minSdk = 23" in (DEMO / "app/build.gradle.kts").read_text()


def test_every_module_is_there() -> None:
    settings = (DEMO / "settings.gradle.kts").read_text()
    modules = re.findall(r'":(\w+)"', settings)
    assert modules == ["core", "demo", "app"]
    for module in modules:
        assert (DEMO / module / "build.gradle.kts").is_file()


def test_the_manifest_compiles(apk_tools: None, android_jar: Path, tmp_path: Path) -> None:
    """By aapt against API 23; Gradle puts in the package and the versions, here it is done so."""
    manifest = (DEMO / "app/src/main/AndroidManifest.xml").read_text()
    manifest = manifest.replace(
        "<manifest ", '<manifest package="io.github.edgeocr.demo" android:versionCode="1" ', 1
    )
    (tmp_path / "AndroidManifest.xml").write_text(manifest)
    folders = [option for folder in RESOURCES["app"] for option in ("-S", str(folder))]
    versions = ("--min-sdk-version", "23", "--target-sdk-version", "36")
    files = ("-M", tmp_path / "AndroidManifest.xml", "-I", android_jar, "-F", tmp_path / "app.apk")
    answer = subprocess.run(
        ["aapt", "package", "-f", "--auto-add-overlay", *versions, *files, *folders],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert "warning" not in answer.stderr.lower()


@pytest.mark.parametrize("path", sorted(DEMO.rglob("src/main/**/*.xml")), ids=lambda p: p.name)
def test_xml_is_well_formed(path: Path) -> None:
    ElementTree.parse(path)
