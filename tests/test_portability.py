"""What Windows would refuse or read otherwise: the microscopes' computers run it."""

import ast
from pathlib import Path

import pytest

import cathode_tf

LIBRARY = Path(cathode_tf.__file__).parent
FILES = sorted([*LIBRARY.rglob("*.py"), *(LIBRARY.parent / "tools").rglob("*.py")])
OTHER_OPENERS = {"Image", "zarr", "webbrowser", "tarfile", "zipfile", "tifffile", "desk", "self"}
"""Their `open` opens no text."""
RESERVED = set('<>:"|?*')


def faults(source: str) -> list[str]:
    """Text without an encoding, names that are reserved, renames that fail where the target exists, and `fork`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            constants = [n.value for n in ast.walk(node.right) if isinstance(n, ast.Constant)]
            if any(isinstance(text, str) and RESERVED & set(text) for text in constants):
                found.append(f"line {node.lineno}: a reserved character in {ast.unparse(node.right)}")
        if isinstance(node, ast.Call):
            found += [f"line {node.lineno}: {what}" for what in _call_faults(node)]
    return found


def _call_faults(call: ast.Call) -> list[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = function.value if isinstance(function, ast.Attribute) else None
    of = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    said = {keyword.arg: keyword.value for keyword in call.keywords}
    texts = [a.value for a in [*call.args, *said.values()] if isinstance(a, ast.Constant)]
    if name == "open" and of not in OTHER_OPENERS and "encoding" not in said:
        modes = [n.value for a in call.args for n in ast.walk(a) if isinstance(n, ast.Constant)]
        modes += [n.value for n in ast.walk(said.get("mode", ast.Pass())) if isinstance(n, ast.Constant)]
        if not any(isinstance(mode, str) and "b" in mode and set(mode) <= set("rwaxb+") for mode in modes):
            return ["opens text without an encoding"]
    if owner is not None and name in ("read_text", "write_text") and "encoding" not in said:
        return [f"{name} without an encoding"]
    if name == "fork" or (name in ("get_context", "set_start_method") and "fork" in texts):
        return ["forks, which Windows cannot; a process started otherwise must do"]
    if of == "os" and name == "rename":
        return ["os.rename fails where the target exists; os.replace does not"]
    return []


def test_nothing_in_a_file_is_refused_by_windows():
    assert len(FILES) > 200
    found = {f"{path.parent.name}/{path.name}": faults(path.read_text(encoding="utf-8")) for path in FILES}
    assert not {name: told for name, told in found.items() if told}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("open('a.csv')", "encoding"),
        ("path.open('w', newline='')", "encoding"),
        ("open(path, mode='a')", "encoding"),
        ("path.read_text()", "encoding"),
        ("os.fork()", "forks"),
        ("multiprocessing.get_context('fork')", "forks"),
        ("os.rename(a, b)", "os.replace"),
        ("folder / f'{name}: {time}.txt'", "reserved"),
    ],
)
def test_the_rules_see_what_they_are_for(line, fault):
    [found] = faults(line)
    assert fault in found


@pytest.mark.parametrize(
    "line",
    ["open(path, 'rb')", "path.open('w', encoding='utf-8')", "Image.open(path)", "a / b", "os.replace(a, b)"],
)
def test_the_rules_leave_the_rest_alone(line):
    assert not faults(line)


def test_a_file_is_closed_before_it_takes_its_name(tmp_path, monkeypatch):
    """Windows renames no open file, and replaces none: an atomic write must have let go of both."""
    import os

    from cathode_tf.files import atomic_file, write_json

    real, held = os.replace, []

    def replace(source, target):
        open_here = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        held.extend(open_here & {str(Path(source).resolve()), str(Path(target).resolve())})
        real(source, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see what is open")
    monkeypatch.setattr(os, "replace", replace)
    write_json(tmp_path / "a.json", {"a": 1})
    write_json(tmp_path / "a.json", {"a": 2}, force=True)
    with atomic_file(tmp_path / "b.txt", force=True) as temporary:
        temporary.write_text("b", encoding="utf-8")
    assert not held and (tmp_path / "b.txt").read_text(encoding="utf-8") == "b"
