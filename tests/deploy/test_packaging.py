"""The packages: the real ones file by file, and errors with synthetic wheels."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import platform
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy import packaging
from deploy.packaging import HASH, HELLOWORLD, JANITOR, LAMBDA, Function, PackagingError, stage
from janitor.owners import table as owners
from tests.deploy.wheels import staged

ENTRY_POINTS = (
    "janitor.function.fleet",
    "janitor.function.handler",
    "janitor.function.new_groups",
    "janitor.function.watch",
)


@pytest.fixture(scope="module")
def janitor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The janitor's folder for Lambda."""
    return staged(LAMBDA, tmp_path_factory.mktemp("lambda"))


@pytest.fixture(scope="module")
def archive(janitor: Path) -> Path:
    """The janitor's zip file."""
    return packaging.zip_of(janitor)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The janitor's folder for a local Python of Lambda's version, else for that of the tests."""
    return staged(packaging.nearest(), tmp_path_factory.mktemp("host"))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the janitor's package, file by file --------------------------------------------------------

AARCH64 = 183  # e_machine, in the ELF specification


def test_native_libraries_are_for_lambdas_processor(janitor: Path) -> None:
    """Each .so file is ELF for AArch64, 64 bits."""
    libraries = [path for path in janitor.rglob("*") if ".so" in path.suffixes]
    assert libraries
    for path in libraries:
        magic, bits, machine = struct.unpack_from("<4sB13xH", path.read_bytes())
        assert (magic, bits, machine) == (b"\x7fELF", 2, AARCH64), path


def test_no_other_file_is_native_code(janitor: Path) -> None:
    """There are no executables under another name, no scripts and no caches."""
    for name in names(janitor):
        start = (janitor / name).read_bytes()[:4]
        assert start != b"\x7fELF" or ".so" in name
        assert start[:2] != b"MZ", name
        assert not name.endswith((".pyc", ".pyi", ".exe")), name
        assert not {"bin", "tests", "__pycache__"} & set(name.split("/")), name


def test_no_dependency_of_the_terminal_or_of_development_is_packaged(janitor: Path) -> None:
    """Neither a module nor a licence."""
    tops = {entry.name.split("-")[0].removesuffix(".py").lower() for entry in janitor.iterdir()}
    terminal = {"typer", "click", "rich", "tomli_w"}
    assert not tops & (terminal | {"moto", "types_boto3_logs", "pulumi", "pip", "awslambdaric"})


def test_only_the_part_of_the_janitor_that_the_functions_need_is_packaged(janitor: Path) -> None:
    """With the shipped policy, without commands, restore and formats for people."""
    own = {name.removeprefix("janitor/") for name in names(janitor) if name.startswith("janitor/")}
    needed = {"function/handler.py", "function/watch.py", "policy/default_policy.toml"}
    assert needed | {"report/base.py"} <= own
    assert not own & {
        "engine/measured.py",
        "function/member_role.py",
        "journal/restore.py",
        "__main__.py",
    }
    assert not {name for name in own if name.startswith(("terminal/", "sandbox/"))}
    assert {name for name in own if name.startswith("report/")} == {
        "report/__init__.py",
        "report/base.py",
        "report/fleet.py",
        "report/summary.py",
    }


def test_each_dependency_keeps_its_licence(janitor: Path) -> None:
    """And nothing else of its metadata."""
    for wheel in packaging.wheels_of(janitor).glob("*.whl"):
        folder = janitor / f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
        assert names(folder), wheel.name
        assert not names(folder) & {"METADATA", "RECORD", "WHEEL", "entry_points.txt"}


def test_the_documentation_has_the_real_sizes(janitor: Path, archive: Path) -> None:
    """Within a tenth, so that not every change of the code needs one of the documentation."""
    text = (packaging.ROOT / "docs" / "deployment.md").read_text()
    row = re.search(r"^janitor +janitor\.zip +([\d.]+) MB +([\d.]+) MB", text, re.M)
    assert row is not None
    unzipped = sum((janitor / name).stat().st_size for name in names(janitor))
    assert float(row[1]) == pytest.approx(archive.stat().st_size / 1e6, rel=0.1)
    assert float(row[2]) == pytest.approx(unzipped / 1e6, rel=0.1)


def test_sizes_are_within_limits(janitor: Path, archive: Path, tmp_path: Path) -> None:
    """The janitor has at most 11 MB zipped and 40 MB unzipped, hash at most 10 kB."""
    assert archive.stat().st_size <= 11_000_000
    assert sum((janitor / name).stat().st_size for name in names(janitor)) <= 40_000_000
    assert packaging.zip_of(stage(HASH, root=tmp_path)).stat().st_size <= 10_000


# --- imports ------------------------------------------------------------------------------------

# In sys.stdlib_module_names of an older Python, but removed by 3.13 (PEP 594, PEP 632, lib2to3).
REMOVED = """
aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis
nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib
"""
STDLIB = frozenset(sys.stdlib_module_names) - frozenset(REMOVED.split())
VIRTUAL = frozenset({"six.moves"})  # six puts it into sys.modules

# Conditions of imports that need another package, another Python or another system.
UNLESS = re.compile(r"TYPE_CHECKING|HAS_CRT|tornado|version_info|sys\.platform")


def test_every_import_is_in_the_folder_or_the_standard_library(janitor: Path) -> None:
    """Including everything that the handlers import indirectly."""
    missing: set[str] = set()
    seen: set[str] = set()
    todo = list(ENTRY_POINTS)
    while todo:
        module = todo.pop()
        if module in seen | VIRTUAL or module.split(".")[0] in STDLIB:
            continue
        seen.add(module)
        path = module_path(janitor, module)
        if path is None:
            missing.add(module)
        elif path.suffix == ".py":
            todo += imported_by(janitor, module, path)
        todo += [module.rpartition(".")[0]] if "." in module else []
    assert not missing
    assert {"janitor.engine.act", "botocore.session", "pydantic_core._pydantic_core"} <= seen


def module_path(folder: Path, module: str) -> Path | None:
    base = folder.joinpath(*module.split("."))
    candidates = [base / "__init__.py", base.with_name(f"{base.name}.py")]
    candidates += base.parent.glob(f"{base.name}.*.so")
    return next((path for path in candidates if path.is_file()), None)


def imported_by(folder: Path, module: str, path: Path) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for statement in run_at_import(ast.parse(path.read_bytes()).body):
        match statement:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=source, names=aliases, level=level):
                parents = package.split(".")
                parts = parents[: len(parents) - level + 1] if level else []
                source = ".".join([*parts, *([source] if source else [])])
                yield source
                for alias in aliases:  # a submodule, or a name in the module
                    if module_path(folder, f"{source}.{alias.name}"):
                        yield f"{source}.{alias.name}"


def run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that an import runs, except those for other interpreters."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass
            case ast.If(test=ast.Name("PY3")):
                yield from run_at_import(statement.body)
            case ast.If(test=test) if UNLESS.search(ast.unparse(test)):
                yield from run_at_import(statement.orelse)
            case ast.Try(handlers=handlers) if any(
                re.search(r"ImportError|ModuleNotFoundError", ast.unparse(handler.type or handler))
                for handler in handlers
            ):
                pass
            case _:
                yield statement
                for name in ("body", "orelse", "finalbody"):
                    yield from run_at_import(getattr(statement, name, []))


def test_it_imports_here_with_nothing_else_on_the_path(here: Path) -> None:
    """A folder for this machine can import its handlers and create all clients."""
    program = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for module in sys.argv[2].split():
    importlib.import_module(module)
import boto3
session = boto3.Session(region_name="eu-central-1")
for service in sys.argv[3].split():
    session.client(service)
paths = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
print(sum(path.startswith(sys.argv[1]) for path in paths))
print(*[path for path in paths if "site-packages" in path])
"""
    modules, services = " ".join(ENTRY_POINTS), " ".join(sorted(JANITOR.services))
    python = packaging.nearest().interpreter
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", program, str(here), modules, services],
        env={"AWS_REGION": "eu-central-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    staged, installed = done.stdout.split("\n")[:2]
    assert int(staged) > 100
    assert not installed


def test_the_cold_import_is_measured(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In seconds; a failed import is an error of one line."""
    monkeypatch.setattr(packaging, "IMPORT_RUNS", 1)
    machine = packaging.nearest()
    assert 0 < packaging.import_time(JANITOR, here, machine) < 60
    with pytest.raises(PackagingError, match=r"^janitor: nowhere cannot be imported: .*nowhere'$"):
        packaging.import_time(replace(JANITOR, handler="nowhere.handler"), here, machine)


# --- the services -------------------------------------------------------------------------------

POWERTOOLS = {"get_parameter": "ssm", "get_secret": "secretsmanager"}


def test_only_models_of_services_that_are_called_are_packaged(janitor: Path) -> None:
    """Those for which the packaged code creates clients and those of the owner table, each in its
    newest version.
    """
    models = {
        match["service"]: {match["version"]}
        for name in names(janitor)
        if (match := packaging.MODEL.fullmatch(name))
    }
    called = services_called([ast.parse(p.read_bytes()) for p in janitor.glob("janitor/**/*.py")])
    called -= {"iam"}  # for the account's alias, which only the terminal reads
    assert set(models) == called | owners.services(owners.table()) == JANITOR.services
    assert models["ec2"] == {"2016-11-15"}
    assert models["lambda"] == {"2015-03-31"}
    shared = {path.name for path in (janitor / "botocore" / "data").iterdir() if path.is_file()}
    assert shared == {
        "_retry.json",
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
    }


def services_called(trees: list[ast.Module]) -> set[str]:
    """The first arguments of `client(…)` and of an Api's `once(…)`, also if they are parameters of
    a function that passes them on.
    """
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    services = {POWERTOOLS[name] for call in calls if (name := called_name(call)) in POWERTOOLS}
    todo, seen = [("client", 0), ("once", 0)], set[tuple[str, int]]()
    while todo:
        name, position = todo.pop()
        seen.add((name, position))
        services |= literals(calls, name, position)
        for function in functions:
            parameters = [parameter.arg for parameter in function.args.args]
            parameters = [parameter for parameter in parameters if parameter != "self"]
            for call in ast.walk(function):
                if not isinstance(call, ast.Call) or called_name(call) != name:
                    continue
                argument = ast.unparse(call.args[position]) if len(call.args) > position else ""
                if argument in parameters:
                    todo.append((function.name, parameters.index(argument)))
        todo = [item for item in todo if item not in seen]
    return services


def called_name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def literals(calls: list[ast.Call], name: str, position: int) -> set[str]:
    return {
        argument.value
        for call in calls
        if called_name(call) == name and len(call.args) > position
        if isinstance(argument := call.args[position], ast.Constant)
        and isinstance(argument.value, str)
    }


# --- pins ---------------------------------------------------------------------------------------


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.M)
    return {canonicalize_name(name): version for name, version in found}


def test_pins_are_those_of_the_tests() -> None:
    """The same versions are deployed and tested, with hashes."""
    path = packaging.REQUIREMENTS / "janitor.txt"
    installed = pins(packaging.ROOT / "requirements-dev.txt")
    deployed = pins(path)
    assert deployed
    assert deployed == {name: installed[name] for name in deployed}
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line)
               for line in lines)  # fmt: skip


def test_pins_are_complete(janitor: Path) -> None:
    """Each wheel's requirements on Lambda are pinned at versions that it accepts."""
    pinned = pins(packaging.REQUIREMENTS / "janitor.txt")
    on_lambda = {
        "python_version": LAMBDA.python,
        "python_full_version": f"{LAMBDA.python}.0",
        "platform_machine": "aarch64",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "extra": "",
    }
    wheels = list(packaging.wheels_of(janitor).glob("*.whl"))
    assert len(wheels) == len(pinned)
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            (name,) = [n for n in wheel.namelist() if re.fullmatch(r"[^/]+dist-info/METADATA", n)]
            metadata = HeaderParser().parsestr(wheel.read(name).decode())
        for text in metadata.get_all("Requires-Dist", []):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(on_lambda):
                version = pinned[canonicalize_name(requirement.name)]
                assert version in requirement.specifier, f"{path.name} requires {text}"


# --- the zip file -------------------------------------------------------------------------------


def test_the_zip_file_holds_the_folder(janitor: Path, archive: Path, tmp_path: Path) -> None:
    """Its files are sorted, readable by everyone, and from 1980."""
    with zipfile.ZipFile(archive) as file:
        assert file.testzip() is None
        infos = file.infolist()
        file.extractall(tmp_path)
    found = [info.filename for info in infos]
    assert found == sorted(names(janitor))
    for info in infos:
        assert (tmp_path / info.filename).read_bytes() == (janitor / info.filename).read_bytes()
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert (info.create_system, info.external_attr >> 16) == (3, 0o100644)


def test_the_janitors_zip_file_is_reproducible(archive: Path, tmp_path: Path) -> None:
    """Built elsewhere, under another umask, it has the same bytes."""
    before = os.umask(0o077)
    try:
        again = packaging.zip_of(staged(LAMBDA, tmp_path / "elsewhere"))
    finally:
        os.umask(before)
    assert sha256(again) == sha256(archive)


def test_running_a_folder_does_not_change_its_zip_file(tmp_path: Path) -> None:
    """Python's caches are left out."""
    folder = stage(HASH, packaging.host(), root=tmp_path)
    before = sha256(packaging.zip_of(folder))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "handler.cpython-311.pyc").write_bytes(b"cache")
    assert sha256(packaging.zip_of(folder)) == before


# --- synthetic wheels ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """A folder of wheels, the only index that pip uses."""

    folder: Path

    def add(self, name: str, tag: str, files: Mapping[str, str]) -> str:
        """Create a wheel of version 1.0 and return its pin."""
        path = self.folder / f"{name}-1.0-{tag}.whl"
        info = f"{name}-1.0.dist-info"
        contents = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
            f"{info}/licenses/LICENSE": "Do as you like.\n",
        }
        record = "".join(f"{n},{self._digest(text)},{len(text)}\n" for n, text in contents.items())
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for file, text in {**contents, f"{info}/RECORD": record}.items():
                wheel.writestr(file, text)
        return f"{name}==1.0 --hash=sha256:{sha256(path)}\n"

    @staticmethod
    def _digest(text: str) -> str:
        digest = hashlib.sha256(text.encode()).digest()
        return f"sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Index(folder)


def function(folder: Path, requirements: str = "", **more: object) -> Function:
    """A function of one file and these requirements."""
    folder.mkdir(exist_ok=True)
    (folder / "handler.py").write_text("def handler(event, context): ...\n")
    (folder / "pins.txt").write_text(requirements)
    plain = Function(
        name="made",
        handler="handler.handler",
        sources=(folder / "handler.py",),
        requirements=(folder / "pins.txt") if requirements else None,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def test_order_dates_and_umask_do_not_matter(index: Index, tmp_path: Path) -> None:
    """Sources that were written in another order, at another time, give the same bytes."""
    text = "answer = 42\n" * 50
    requirements = index.add("one", "py3-none-any", {"one.py": text, "lib/b.py": text})
    archives = {}
    for turn, order in {"a": "xyz", "b": "zyx"}.items():
        source = tmp_path / turn / "code"
        before = os.umask(0o077 if turn == "a" else 0)
        try:
            source.mkdir(parents=True)
            for name in order:
                (source / f"{name}.py").write_text(name)
                os.utime(source / f"{name}.py", (ord(turn), ord(turn) * 10_000_000))
            sources = (source, tmp_path / turn / "src" / "handler.py")
            packaged = function(tmp_path / turn / "src", requirements, sources=sources)
            archives[turn] = packaging.zip_of(stage(packaged, root=tmp_path / turn / "build"))
        finally:
            os.umask(before)
    assert sha256(archives["a"]) == sha256(archives["b"])
    folders = [path.with_suffix("") for path in archives.values()]
    modes = [[(p.stat().st_mode, p.stat().st_mtime) for p in sorted(f.rglob("*"))] for f in folders]
    assert modes[0] == modes[1]


def test_a_file_keeps_the_stream_of_its_wheel(index: Index, tmp_path: Path) -> None:
    """So the result does not depend on this machine's zlib; changed files and ours are stored."""
    requirements = index.add("one", "py3-none-any", {"one.py": "x = 1\n" * 99, "two.py": "y" * 99})
    folder = stage(function(tmp_path / "src", requirements), root=tmp_path / "build")
    (folder / "two.py").write_text("changed")
    with zipfile.ZipFile(packaging.zip_of(folder)) as file:
        methods = {info.filename: info.compress_type for info in file.infolist()}
        assert file.read("two.py") == b"changed"
    assert methods["one.py"] == zipfile.ZIP_DEFLATED
    assert methods["two.py"] == methods["handler.py"] == zipfile.ZIP_STORED


def test_a_wheel_that_is_missing_for_arm64_is_named(index: Index, tmp_path: Path) -> None:
    """One line has name and version, and no folder is left behind."""
    requirements = index.add("intel", "cp313-cp313-manylinux2014_x86_64", {"intel.py": ""})
    requirements += index.add("pure", "py3-none-any", {"pure.py": ""})
    with pytest.raises(PackagingError) as error:
        stage(function(tmp_path / "src", requirements), root=tmp_path / "build")
    assert str(error.value) == (
        "made: there is no wheel of intel==1.0 for linux/arm64, Python 3.13, "
        "and nothing is compiled"
    )
    assert not list((tmp_path / "build").iterdir())


def test_a_source_distribution_is_not_compiled(index: Index, tmp_path: Path) -> None:
    """A distribution without a wheel is missing."""
    path = index.folder / "source-1.0.tar.gz"
    path.write_bytes(b"never opened")
    requirements = f"source==1.0 --hash=sha256:{sha256(path)}\n"
    with pytest.raises(
        PackagingError, match=r"^made: there is no wheel of source==1\.0 for [^\n]+$"
    ):
        stage(function(tmp_path / "src", requirements), root=tmp_path / "build")


def test_wheels_for_lambdas_glibc_or_older_are_accepted(index: Index, tmp_path: Path) -> None:
    """Each runs on glibc 2.34 and CPython 3.13."""
    tags = [
        f"{abi}-{tag}"
        for abi in ("cp313-cp313", "cp39-abi3")
        for tag in ("manylinux2014_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64")
    ]
    requirements = [index.add(f"n{i}", tag, {f"{i}.so": ""}) for i, tag in enumerate(tags)]
    folder = stage(function(tmp_path / "src", "".join(requirements)), root=tmp_path / "build")
    assert {path.name for path in folder.glob("*.so")} == {f"{i}.so" for i in range(len(tags))}


def test_a_wheel_for_a_newer_glibc_is_not_accepted(index: Index, tmp_path: Path) -> None:
    """It would not load on Lambda."""
    requirements = index.add("new", "cp313-cp313-manylinux_2_35_aarch64", {"new.so": ""})
    with pytest.raises(PackagingError, match="there is no wheel of new"):
        stage(function(tmp_path / "src", requirements), root=tmp_path / "build")


def test_a_wheel_with_another_hash_is_refused(index: Index, tmp_path: Path) -> None:
    """One line names it, and an earlier package stays as it was."""
    root = tmp_path / "build"
    folder = stage(function(tmp_path / "src"), root=root)
    index.add("one", "py3-none-any", {"one.py": ""})
    changed = function(tmp_path / "src", f"one==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackagingError) as error:
        stage(changed, root=root)
    message = "made: one==1.0 is refused: its hash is not one of those in pins.txt"
    assert str(error.value) == message
    assert names(folder) == {"handler.py"}
    assert packaging.zip_of(folder).is_file()


def test_a_requirement_without_a_hash_is_refused(index: Index, tmp_path: Path) -> None:
    """Only pinned wheels are downloaded."""
    index.add("one", "py3-none-any", {"one.py": ""})
    with pytest.raises(PackagingError, match=r"^made: ERROR: Hashes are required[^\n]*$"):
        stage(function(tmp_path / "src", "one==1.0\n"), root=tmp_path / "build")


def test_files_that_no_import_needs_are_left_out(index: Index, tmp_path: Path) -> None:
    """Scripts, data, caches, stubs, tests and metadata; licences and platlib are kept."""
    files = ["one.py", "one.pyi", "a/py.typed", "a/__pycache__/x.pyc", "a/tests/t.py", "a/x.py"]
    files += ["one-1.0.data/scripts/run", "one-1.0.data/platlib/lib.py", "one-1.0.data/data/d"]
    requirements = index.add("one", "py3-none-any", dict.fromkeys(files, "text"))
    folder = stage(function(tmp_path / "src", requirements), root=tmp_path / "build")
    assert names(folder) == {
        "a/x.py",
        "handler.py",
        "lib.py",
        "one-1.0.dist-info/licenses/LICENSE",
        "one.py",
    }


def test_two_wheels_with_the_same_file_are_refused(index: Index, tmp_path: Path) -> None:
    """Their order would decide."""
    requirements = index.add("one", "py3-none-any", {"same.py": "1"})
    requirements += index.add("two", "py3-none-any", {"same.py": "2"})
    with pytest.raises(PackagingError, match=r"made: same\.py would be in the package twice"):
        stage(function(tmp_path / "src", requirements), root=tmp_path / "build")


# --- extra files, images, the program -----------------------------------------------------------


def test_extra_files_have_their_names_in_folder_and_zip_file(tmp_path: Path) -> None:
    """Whatever the name of the source file is."""
    policy = tmp_path / "mine.toml"
    policy.write_text("[defaults]\n")
    extra = {"policy.toml": policy, "more/policy.toml": policy}
    folder = stage(function(tmp_path / "src"), extra=extra, root=tmp_path / "build")
    assert names(folder) == {"handler.py", "more/policy.toml", "policy.toml"}
    with zipfile.ZipFile(packaging.zip_of(folder)) as file:
        assert file.read("policy.toml") == b"[defaults]\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../policy.toml", "is not a name inside the package"),
        ("/policy.toml", "is not a name inside the package"),
        (".", "is not a name inside the package"),
        ("handler.py", "would be in the package twice"),
    ],
)
def test_a_wrong_name_of_an_extra_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    """One outside the folder, or one that exists."""
    with pytest.raises(PackagingError, match=reason):
        stage(
            function(tmp_path / "src"),
            extra={name: tmp_path / "src" / "handler.py"},
            root=tmp_path / "build",
        )


def test_a_missing_extra_file_is_named(tmp_path: Path) -> None:
    """With its path, in one line."""
    with pytest.raises(PackagingError, match=r"^made: [^\n]*nowhere\.toml is not a file"):
        stage(
            function(tmp_path / "src"),
            extra={"policy.toml": tmp_path / "nowhere.toml"},
            root=tmp_path / "build",
        )


def test_a_package_without_its_handler_is_refused(tmp_path: Path) -> None:
    """The function could not start."""
    with pytest.raises(PackagingError, match=r"made: main\.py, which has its handler, is missing"):
        stage(function(tmp_path / "src", handler="main.handler"), root=tmp_path / "build")


def test_a_build_context_holds_dockerfile_and_folder(tmp_path: Path) -> None:
    """The image is for arm64, needs no installation, and starts the packaged handler."""
    context = packaging.image_context(stage(HELLOWORLD, root=tmp_path))
    assert names(context) == {"Dockerfile", "helloworld/handler.py"}
    lines = [
        line
        for line in (context / "Dockerfile").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert lines == [
        f"FROM --platform=linux/arm64 amazon/aws-lambda-python:{LAMBDA.python}",
        "COPY helloworld/ ${LAMBDA_TASK_ROOT}/",
        f'CMD ["{HELLOWORLD.handler}"]',
    ]


def test_only_staged_folders_are_packed(tmp_path: Path) -> None:
    """Another folder, or the image of a zip function, is refused."""
    with pytest.raises(PackagingError, match="was not staged"):
        packaging.zip_of(tmp_path / "nowhere")
    with pytest.raises(PackagingError, match="hash: it is not deployed as a container image"):
        packaging.image_context(stage(HASH, root=tmp_path))


def test_the_program_describes_each_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each function has size, import time and digest; the last names the Python that
    imported it, and says if that is not Lambda's.
    """
    monkeypatch.setattr(packaging, "nearest", packaging.host)
    assert packaging.main(["hash", "helloworld"], tmp_path) == 0
    head, zipped, image, where = capsys.readouterr().out.splitlines()
    assert head.split() == ["FUNCTION", "PACKAGE", "SIZE", "UNZIPPED", "COLD", "IMPORT", "SHA256"]
    assert re.fullmatch(r"hash +hash\.zip +[\d.]+ kB +[\d.]+ kB +\d+ ms +[0-9a-f]{64}", zipped)
    assert zipped.endswith(sha256(tmp_path / "hash.zip"))
    assert image.startswith("helloworld helloworld.image")
    assert (tmp_path / "helloworld.image" / "Dockerfile").is_file()
    assert where == (
        f"in {tmp_path}, for linux/arm64, Python 3.13; "
        f"imported on {platform.system().lower()}/{platform.machine()}, "
        f"Python {sys.version_info.major}.{sys.version_info.minor}, as there is no python3.13 here"
    )


def test_a_python_of_lambdas_version_imports_it_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must be found by its name, and start."""
    python = tmp_path / "python3.13"
    monkeypatch.setenv("PATH", str(tmp_path))
    for status in (0, 127):
        python.write_text(f"#!/bin/sh\nexit {status}\n")
        python.chmod(0o755)
        if sys.platform == "linux" and not status:
            assert packaging.nearest().interpreter == str(python)
            assert packaging.nearest().python == LAMBDA.python
            assert f"manylinux2014_{platform.machine()}" in packaging.nearest().platforms
        else:
            assert packaging.nearest() == packaging.host()


def test_an_unknown_function_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the known ones, and nothing is created."""
    assert packaging.main(["hash", "hahs"], tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.err == "unknown function: hahs (known: janitor, helloworld, hash)\n"
    assert not list(tmp_path.iterdir())


def test_without_a_network_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not say that a wheel is missing."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    assert packaging.main(["janitor"], tmp_path) == 1
    assert re.fullmatch(
        r"janitor: the package index cannot be reached \(\w+Error\)\n", capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())
