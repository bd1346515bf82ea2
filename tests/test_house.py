"""The house rules: imports run one way, light rooms stay light, importing changes nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cathode_tf

LIBRARY = Path(cathode_tf.__file__).parent
TOOLS = Path(__file__).parents[1] / "tools"

# Each room, and the rooms it may import from: those before it in the way of the data, and only
# where the way leads. Files directly in cathode_tf/ that are no room are the floor that all stand on.
FLOOR = {
    "errors",
    "files",
    "lazy",
    "litter",
    "ownership",
    "phases",
    "progress",
    "terminal",
    "texts",
    "version",
    "words",
}
MAY_IMPORT = {
    "imaging": set(),
    "synthesis": {"imaging"},
    "tomography": {"imaging"},
    "datasets": {"imaging"},
    "learning": {"imaging", "datasets"},
    "inference": {"imaging", "datasets", "learning", "particles"},
    "statistics": set(),
    "particles": {"statistics"},
    "volumes": {"imaging", "statistics", "particles"},
    "analysis": {"imaging", "statistics", "particles"},
    "rounds": {"imaging", "datasets", "learning", "inference", "analysis"},
    "review": {
        "imaging",
        "synthesis",  # the micrographs of `app --demo`
        "datasets",
        "learning",
        "inference",
        "statistics",
        "particles",
        "analysis",
        "reporting",
        "lots",
        "rounds",
    },
    "reporting": {"imaging", "tomography", "statistics", "particles", "volumes", "analysis"},
    "lots": {"statistics", "analysis", "reporting"},
    "demo": {
        "imaging",
        "synthesis",
        "datasets",
        "learning",
        "inference",
        "statistics",
        "analysis",
        "reporting",
    },
}
LIGHT = (
    "imaging",
    "synthesis",
    "tomography",
    "statistics",
    "particles",
    "volumes",
    "analysis",
    "reporting",
    "lots",
)


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
            if node.module == "cathode_tf":
                names = [f"cathode_tf.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("cathode_tf.") and "__" not in name}
    return rooms


def room_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def test_imports_run_one_way():
    wrong = {}
    for path in LIBRARY.rglob("*.py"):
        room = room_of(path)
        allowed = FLOOR if room in FLOOR else FLOOR | MAY_IMPORT.get(room, set()) | {room}
        if room != "__init__" and (more := imported_rooms(path) - allowed):
            wrong[str(path.relative_to(LIBRARY))] = more
    assert not wrong
    assert {path.parent.name for path in LIBRARY.glob("*/__init__.py")} <= MAY_IMPORT.keys()


def test_siblings_in_tools_are_imported_only_by_main():
    wrong = []
    for path in TOOLS.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        relative = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
        # A verb with many verbs of its own is a folder, whose files know each other.
        sibling = "tools" in imported_rooms(path) and path.parent == TOOLS
        if (relative and path.name not in ("main.py", "__main__.py")) or sibling:
            wrong.append(path.name)
    assert not wrong


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_light_rooms_load_no_tensorflow():
    heavy = {"tensorflow", "keras", "tensorflow_datasets"}
    if loaded_by("import " + ", ".join(f"cathode_tf.{room}" for room in LIGHT)) & heavy:
        assert [room for room in LIGHT if loaded_by(f"import cathode_tf.{room}") & heavy] == []


def test_what_travels_to_a_cluster_loads_no_tensorflow():
    """Its scheduler unpickles the work, too, and must not spend its time on importing."""
    loaded = loaded_by(
        "import cathode_tf.inference.beam, cathode_tf.inference.plan, cathode_tf.datasets.beam"
    )
    assert not loaded & {"tensorflow", "keras"}


def test_importing_the_package_loads_no_heavy_library():
    loaded = loaded_by("import cathode_tf")
    assert not loaded & {"tensorflow", "keras", "tensorflow_datasets", "cv2", "pandas", "scipy", "matplotlib"}


def test_every_public_name_is_there():
    for name in cathode_tf.__all__:
        assert getattr(cathode_tf, name) is not None


@pytest.mark.parametrize("room", sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py")))
def test_no_public_name_is_also_a_modules(room):
    """`from cathode_tf.room import name` would give the one or the other, by what was imported before."""
    tree = ast.parse((LIBRARY / room / "__init__.py").read_text(encoding="utf-8"))
    lists = (node.value for node in tree.body if isinstance(node, ast.Assign) and _is_all(node))
    names = {name for value in lists for name in ast.literal_eval(value)}
    assert not names & {path.stem for path in (LIBRARY / room).glob("*.py")}


def _is_all(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
