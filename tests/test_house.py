"""The house: who may import whom, and what is public."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import refold

SOURCE = Path(refold.__file__).parent
RANKS = {
    "data": 1,
    "nets": 1,
    "weights": 1,
    "layouts": 1,
    "objectives": 2,
    "codec": 2,
    "files": 2,
    "metrics": 2,
    "scores": 3,
    "train": 3,
    "estimators": 4,
    "plots": 5,
}
RANKS |= {"cli": 6, "service": 6}
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}


def room_of(module):
    """The room of a dotted module of refold; "" for what lies at its root."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANKS else ""


def module_of(path):
    parts = ["refold", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """Every module that a file imports, wherever in the file, with the names taken from it."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, tuple(alias.name for alias in node.names)


def inner_imports(path):
    """Every module of refold that a file imports; ``from refold.data import _x`` counts as ``refold.data._x``."""
    for module, names in imports_of(path):
        if module.partition(".")[0] == "refold":
            yield module
            yield from (f"{module}.{name}" for name in names if name.startswith("_") and not name.startswith("__"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_room_imports_only_rooms_of_a_lower_rank(path):
    room = room_of(module_of(path))
    for module in inner_imports(path):
        other = room_of(module)
        if room and other != room and (other or module == "refold"):
            # the package's root names the estimators: whoever takes names from it stands above them
            rank = RANKS[other] if other else RANKS["estimators"] - 1
            assert rank < RANKS[room], f"{room} imports {module}"
        if not room and path.name.startswith("_") and not path.name.startswith("__"):
            assert not other, f"the root's {path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_rooms_take_from_each_other_what_the_room_names(path):
    room = room_of(module_of(path))
    for module in inner_imports(path):
        other = room_of(module)
        if other and other != room:
            assert module == f"refold.{other}", f"{path.name} reaches into {module}"


def test_files_inside_a_room_are_private():
    for path in FILES:
        inside = path.relative_to(SOURCE).parts
        assert path.name.startswith("_"), f"{'/'.join(inside)} is public"
        if len(inside) > 1:
            assert inside[0] in RANKS, f"{inside[0]} is no room of the house"


def test_there_is_no_room_for_what_has_no_home():
    for path in SOURCE.rglob("*"):
        assert not any(word in path.stem.lower() for word in ("util", "helper", "common", "misc", "tools"))


@pytest.mark.parametrize("room", sorted(room for room in RANKS if (SOURCE / room).is_dir()))
def test_every_public_name_of_a_room_resolves(room):
    module = __import__(f"refold.{room}", fromlist=["*"])
    assert sorted(module.__all__, key=str) == sorted(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_the_public_names_of_the_package_are_exactly_these():
    assert sorted(refold.__all__) == [
        "Autoencoder",
        "CameraDetector",
        "CheckpointError",
        "CompressedFileError",
        "Compressor",
        "DataError",
        "Detector",
        "DivergedError",
        "Mark",
        "MissingExtraError",
        "ModelFileError",
        "NumcodecsCodec",
        "ParameterError",
        "RefoldError",
        "RefoldWarning",
        "Restorer",
        "ZarrCodec",
        "code_sizes",
        "decompress",
        "interpolate",
        "load",
        "logo_mark",
        "metrics",
        "neighbours",
        "on_manifold",
        "pretrained",
        "sample",
        "shared_mark",
        "stretching",
        "traverse",
    ]
    for name in refold.__all__:
        assert getattr(refold, name).__doc__
        assert name in dir(refold)
    with pytest.raises(AttributeError, match="no attribute 'Transmogrifier'"):
        refold.Transmogrifier  # noqa: B018


def test_errors_can_be_caught_as_what_they_are():
    assert issubclass(refold.DataError, ValueError) and issubclass(refold.ParameterError, ValueError)
    assert issubclass(refold.ModelFileError, ValueError) and issubclass(refold.DivergedError, ArithmeticError)
    assert issubclass(refold.MissingExtraError, ImportError) and issubclass(refold.RefoldWarning, UserWarning)
    errors = [getattr(refold, name) for name in refold.__all__ if name.endswith("Error")]
    assert all(issubclass(error, refold.RefoldError) for error in errors)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_nothing_in_a_file_is_ever_run(path):
    for module, names in imports_of(path):
        assert module.partition(".")[0] not in FORBIDDEN
        assert not (module == "torch" and {"load", "save"} & set(names))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save"), ("np", "fromregex")}
        if isinstance(node, ast.Call):
            assert not (isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec", "compile", "__import__"))
            allowed = {key.arg: key.value for key in node.keywords}.get("allow_pickle")
            assert allowed is None or (isinstance(allowed, ast.Constant) and allowed.value is False)
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "np.load":
                assert allowed is not None, f"{path.name} loads arrays without allow_pickle=False"


@pytest.mark.parametrize(
    "module", ["refold", "refold.estimators", "refold.data", "refold.metrics", "refold._parameters"]
)
def test_importing_is_quick(module):
    heavy = ("torch", "sklearn", "pandas", "polars", "matplotlib", "scipy", "rich")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("room", ["data", "nets", "objectives", "files", "metrics", "train", "estimators"])
def test_every_room_has_its_tests(room):
    tests = {path.name for path in (Path(__file__).parent / room).glob("test_*.py")}
    assert tests, f"tests/{room} is empty"
