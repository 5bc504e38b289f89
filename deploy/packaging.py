# ruff: noqa: T201 - a program: its results go to stdout
"""The functions' packages: a staged folder, and a zip file or a container build context from it.

    python -m deploy.packaging [NAME…]

Nothing is compiled and nothing is run: the files come from the pinned wheels for Lambda's machine,
so a package is the same, byte for byte, wherever and whenever it is built.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from janitor.owners import table as owners

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
REQUIREMENTS = ROOT / "deploy" / "requirements"

IMPORT_RUNS = 5


class PackagingError(Exception):
    """A package cannot be built; one line says why. An earlier package is untouched."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A platform to choose wheels for.

    Attributes:
        name: For people, as in `linux/arm64, Python 3.13`.
        platforms: Platform tags of wheels, best first; none: those of the running interpreter.
        python: `major.minor`.
        abi: ABI tag of CPython.
        interpreter: A Python on this machine that can run what is built for it.
    """

    name: str
    platforms: tuple[str, ...]
    python: str
    abi: str
    interpreter: str = field(default=sys.executable, repr=False)


# Lambda's python3.13 is Amazon Linux 2023 with glibc 2.34. manylinux2014 is the old name of 2_17,
# the oldest for aarch64.
LAMBDA = Machine(
    name="linux/arm64, Python 3.13",
    platforms=(
        *(f"manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)),
        "manylinux2014_aarch64",
    ),
    python="3.13",
    abi="cp313",
)


def host() -> Machine:
    """Return this machine with the running interpreter, which can run a staged folder."""
    major, minor, *_ = platform.python_version_tuple()
    return Machine(
        name=f"{platform.system().lower()}/{platform.machine()}, Python {major}.{minor}",
        platforms=(),
        python=f"{major}.{minor}",
        abi=f"cp{major}{minor}",
    )


def nearest() -> Machine:
    """Return this machine with a Python of Lambda's version, else with the running one."""
    found = shutil.which(f"python{LAMBDA.python}")
    if found is None or sys.platform != "linux":
        return host()
    if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        return host()  # pyenv has a shim even for a version that is not installed
    machine = platform.machine()
    return replace(
        LAMBDA,
        name=f"linux/{machine}, Python {LAMBDA.python}",
        platforms=tuple(tag.replace("aarch64", machine) for tag in LAMBDA.platforms),
        interpreter=found,
    )


@dataclass(frozen=True, kw_only=True)
class Function:
    """What a function's package consists of.

    Attributes:
        name: Name of the function and of its folder under `build/`.
        handler: Lambda's handler, `package.module.function`.
        sources: Its code: a folder keeps its name, a file goes to the top.
        requirements: Pins and hashes of the wheels that it needs, if any.
        services: AWS services whose botocore models are kept.
        left_out: Patterns of names to leave out, as of fnmatch; `*` matches `/` too.
        dockerfile: Dockerfile of its image; None: it is deployed as a zip file.
    """

    name: str
    handler: str
    sources: tuple[Path, ...]
    requirements: Path | None = None
    services: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()
    dockerfile: Path | None = None


JANITOR = Function(
    name="janitor",
    handler="janitor.function.handler.handler",
    sources=(ROOT / "janitor",),
    requirements=REQUIREMENTS / "janitor.txt",
    services=owners.services(owners.table())
    | frozenset(
        {
            "cloudwatch",
            "ec2",
            "lambda",
            "logs",
            "organizations",
            "resourcegroupstaggingapi",
            "s3",
            "service-quotas",
            "sns",
            "ssm",
            "sts",
        }
    ),
    left_out=(
        # Only for the terminal or the deployment.
        "janitor/__main__.py",
        "janitor/terminal/*",
        "janitor/engine/measured.py",
        "janitor/engine/native.py",
        "janitor/function/iam.py",
        "janitor/function/member_role.py",
        "janitor/journal/account_policies.py",
        "janitor/journal/history.py",
        "janitor/journal/restore.py",
        "janitor/policy/native.py",
        "janitor/sandbox/*",
        "janitor/report/assets/*",
        "janitor/report/csv.py",
        "janitor/report/difference.py",
        "janitor/report/formats.py",
        "janitor/report/html.py",
        "janitor/report/json.py",
        "janitor/report/markdown.py",
        "janitor/report/native.py",
        "janitor/report/overview.py",
        "janitor/report/packed.py",
        "janitor/report/pictures.py",
        "janitor/report/schema.py",
        "janitor/report/table.py",
        "janitor/report/undo.py",
        # Parts of the dependencies that nothing here imports.
        "aws_lambda_powertools/event_handler/*",
        # All but batch, data_classes, jmespath_utils, parameters and parser (for batch).
        "aws_lambda_powertools/utilities/[!bdjp_]*",
        "aws_lambda_powertools/utilities/data_masking/*",
        "boto3/data/*",  # models of boto3.resource(…)
        "boto3/examples/*",
        "dateutil/rrule.py",
        "dateutil/zoneinfo/*",  # only UTC is needed
        "pydantic/mypy.py",
        "pydantic/v1/*",
    ),
)
HASH = Function(
    name="hash",
    handler="handler.handler",
    sources=(ROOT / "samples" / "hash" / "handler.py",),
)
HELLOWORLD = Function(
    name="helloworld",
    handler="handler.handler",
    sources=(ROOT / "samples" / "helloworld" / "handler.py",),
    dockerfile=ROOT / "samples" / "helloworld" / "Dockerfile",
)
FUNCTIONS: Mapping[str, Function] = {
    function.name: function for function in (JANITOR, HELLOWORLD, HASH)
}


# --- the folder ---------------------------------------------------------------------------------

# A package has only the importable files of a wheel, and its licences, which must be included.
# Nothing in the packages reads its own metadata on import.
NEVER = (
    "*/__pycache__/*",
    "*.pyc",
    "*.pyi",
    "*/py.typed",
    "*/tests/*",
    "*.dist-info/*",
    ".*",
    "*/.*",
)
LICENCE = re.compile(
    r"[^/]+\.dist-info/(licenses?/.*|(licen[cs]e|copying|notice|authors)[^/]*)", re.I
)
MODEL = re.compile(r"botocore/data/(?P<service>[^/]+)/(?P<version>[^/]+)/(?P<file>[^/]+)")

EPOCH_S = 315_532_800
"""1980-01-01, the first date that a zip file can hold, in seconds since 1970."""


def stage(
    function: Function,
    machine: Machine = LAMBDA,
    *,
    extra: Mapping[str, Path] | None = None,
    root: Path = BUILD,
) -> Path:
    """Make the folder `<root>/<name>`, with the function's code and all that it imports.

    Its wheels stay beside it, in `<name>.wheels`. Both replace those of an earlier staging, as a
    whole and only if nothing failed.

    Args:
        function: The function to stage.
        machine: The machine that is to run it; it need not be this one.
        extra: More files, as name in the folder (with `/`) -> file.
        root: Created if it is missing.

    Raises:
        PackagingError: A wheel is missing for `machine` or is not the pinned one, the index cannot
            be reached, or a file is missing or there twice.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{function.name}-") as temporary:
        wheels = Path(temporary, "wheels")
        wheels.mkdir()
        if function.requirements is not None:
            _download(function, function.requirements, machine, wheels)
        contents = _contents(function, wheels, extra or {})
        folder = Path(temporary, "folder")
        _write(contents, folder)
        _replace(wheels, wheels_of(root / function.name))
        return _replace(folder, root / function.name)


def _contents(
    function: Function, wheels: Path, extra: Mapping[str, Path]
) -> dict[str, Callable[[], bytes]]:
    """Return a function that reads each file of the folder, by its name there."""
    contents: dict[str, Callable[[], bytes]] = {}

    def add(name: str, read: Callable[[], bytes]) -> None:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
            raise PackagingError(f"{function.name}: {name!r} is not a name inside the package")
        if name in contents:
            raise PackagingError(f"{function.name}: {name} would be in the package twice")
        contents[name] = read

    packed = [(file.name, file.read) for file in _wheel_files(wheels)]
    sources = [(name, path.read_bytes) for name, path in _source_files(function)]
    for files in (packed, sources):
        kept = _kept({name for name, _ in files}, function)
        for name, read in files:
            if name in kept:
                add(name, read)
    for name, path in extra.items():
        if not path.is_file():
            raise PackagingError(f"{function.name}: {path} is not a file, to be {name} in there")
        add(name, path.read_bytes)
    module = function.handler.rpartition(".")[0].replace(".", "/") + ".py"
    if module not in contents:
        raise PackagingError(f"{function.name}: {module}, which has its handler, is missing")
    return contents


def _source_files(function: Function) -> Iterator[tuple[str, Path]]:
    for source in function.sources:
        if source.is_file():
            yield source.name, source
        for path in source.rglob("*"):
            if path.is_file():
                yield path.relative_to(source.parent).as_posix(), path


def _kept(names: Set[str], function: Function) -> set[str]:
    """Return the names that go into the package."""
    newest: dict[str, str] = defaultdict(str)
    for name in names:
        if model := MODEL.fullmatch(name):
            newest[model["service"]] = max(newest[model["service"]], model["version"])

    def kept(name: str) -> bool:
        if LICENCE.fullmatch(name):
            return True
        if any(fnmatchcase(name, pattern) for pattern in (*NEVER, *function.left_out)):
            return False
        if model := MODEL.fullmatch(name):
            return (
                model["service"] in function.services
                and model["version"] == newest[model["service"]]
                and not model["file"].startswith(("examples-", "paginators-", "waiters-"))
            )
        return True

    return set(filter(kept, names))


def _write(contents: Mapping[str, Callable[[], bytes]], folder: Path) -> None:
    """Write the files with fixed permissions and dates, which an image's layer has too."""
    folder.mkdir()
    for name, read in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read())
        path.chmod(0o644)
        os.utime(path, (EPOCH_S, EPOCH_S))
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(0o755)
        os.utime(path, (EPOCH_S, EPOCH_S))


def _replace(new: Path, final: Path) -> Path:
    if final.exists():
        shutil.rmtree(final)
    return new.rename(final)


# --- wheels -------------------------------------------------------------------------------------

RAW = -zlib.MAX_WBITS  # deflate without zlib's header


@dataclass(frozen=True)
class _WheelFile:
    """A file in a wheel; `name` is its path once installed."""

    name: str
    wheel: Path
    info: zipfile.ZipInfo

    @property
    def deflated(self) -> bool:
        return self.info.compress_type == zipfile.ZIP_DEFLATED

    def read(self) -> bytes:
        """Return its contents."""
        return zlib.decompress(self.stream(), RAW) if self.deflated else self.stream()

    def stream(self) -> bytes:
        """Return its bytes as they are in the wheel: if `deflated`, a raw deflate stream."""
        with self.wheel.open("rb") as wheel:
            wheel.seek(self.info.header_offset)
            name_length, extra_length = struct.unpack("<26xHH", wheel.read(30))
            wheel.seek(name_length + extra_length, os.SEEK_CUR)
            return wheel.read(self.info.compress_size)


def wheels_of(folder: Path) -> Path:
    """Return the folder with the wheels of a staged folder."""
    return folder.with_name(f"{folder.name}.wheels")


def _wheel_files(wheels: Path) -> Iterator[_WheelFile]:
    """Yield the files of the wheels in a folder, except scripts and data, which no import finds."""
    for path in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                match = re.fullmatch(r"[^/]+\.data/([^/]+)/(.*)", info.filename)
                scheme, name = match.groups() if match else ("purelib", info.filename)
                if scheme in {"purelib", "platlib"} and not info.is_dir():
                    yield _WheelFile(name, path, info)


def _download(function: Function, requirements: Path, machine: Machine, wheels: Path) -> None:
    """Download the pinned wheels into `wheels`; pip checks their hashes."""
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    options += ["--only-binary=:all:", "--no-deps", "--require-hashes"]
    if machine.platforms:
        options += [f"--python-version={machine.python}", f"--abi={machine.abi}"]
        options += ["--implementation=cp", *(f"--platform={tag}" for tag in machine.platforms)]
    options += [f"--requirement={requirements}", f"--dest={wheels}"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackagingError(f"{function.name}: {_why(done.stderr, requirements, machine)}")


def _why(stderr: str, requirements: Path, machine: Machine) -> str:
    """Return one line for pip's many. Without a network pip finds no distribution either."""
    errors = [line for line in stderr.splitlines() if line.strip()]
    if match := re.search(r"after connection broken by .*?(\w+Error)\b", stderr):
        return f"the package index cannot be reached ({match[1]})"
    if match := re.search(r"No matching distribution found for (\S+)", stderr):
        return f"there is no wheel of {match[1]} for {machine.name}, and nothing is compiled"
    if match := re.search(r"^\s+(\S+==\S+) from .*\n\s+Expected sha256", stderr, re.M):
        return f"{match[1]} is refused: its hash is not one of those in {requirements.name}"
    return next((line for line in errors if line.startswith("ERROR:")), (errors or ["pip"])[-1])


# --- the zip file -------------------------------------------------------------------------------

# The structures of a zip file, as in APPNOTE.TXT (4.3.7, 4.3.12, 4.3.16). The zipfile module
# cannot write a stream that is already compressed.
LOCAL = struct.Struct("<IHHHHHIIIHH")
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
END = struct.Struct("<IHHHHIIH")
VERSION = 20  # deflate
UNIX = 3 << 8  # so that Lambda honours the permission bits
UTF8 = 1 << 11
DATE = 1 << 5 | 1  # 1980-01-01, at 00:00:00
MODE = (stat.S_IFREG | 0o644) << 16


def zip_of(folder: Path) -> Path:
    """Write `<folder>.zip` from a staged folder, and return its path.

    A file that is unchanged from its wheel keeps the wheel's compressed stream; all others, our own
    code, are stored. Compressing again takes longer and would give other bytes with another zlib
    (zlib-ng) or other floating point (zopfli).

    Raises:
        PackagingError: The folder was not staged.
    """
    archive = folder.with_name(f"{folder.name}.zip")
    data = _zipped(folder, wheels_of(folder))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new = Path(temporary, "zip")
        new.write_bytes(data)
        return new.replace(archive)


def _zipped(folder: Path, wheels: Path) -> bytes:
    if not folder.is_dir() or not wheels.is_dir():
        raise PackagingError(f"{folder.name}: {folder} was not staged")
    wheel_files = {file.name: file for file in _wheel_files(wheels)}
    archive, directory = bytearray(), bytearray()
    files = _staged_files(folder)
    for name, path in files:
        data = path.read_bytes()
        method, stream = _stream(wheel_files.get(name), data)
        encoded = name.encode()
        sizes = (zlib.crc32(data), len(stream), len(data), len(encoded), 0)
        fields = (VERSION, UTF8, method, 0, DATE, *sizes)  # the same in both headers
        directory += CENTRAL.pack(0x02014B50, UNIX | VERSION, *fields, 0, 0, 0, MODE, len(archive))
        directory += encoded
        archive += LOCAL.pack(0x04034B50, *fields) + encoded + stream
    end = END.pack(0x06054B50, 0, 0, len(files), len(files), len(directory), len(archive), 0)
    return bytes(archive + directory + end)


def _stream(wheel_file: _WheelFile | None, data: bytes) -> tuple[int, bytes]:
    """Return the compression method and the stream for a file that holds `data`."""
    if wheel_file is not None and wheel_file.deflated and wheel_file.read() == data:
        return zipfile.ZIP_DEFLATED, wheel_file.stream()
    return zipfile.ZIP_STORED, data


def _staged_files(folder: Path) -> list[tuple[str, Path]]:
    """Return names and paths, sorted, without the caches that running the folder leaves there."""
    return sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    )


# --- the container build context ----------------------------------------------------------------


def image_context(folder: Path) -> Path:
    """Make `<folder>.image`, a container build context of the Dockerfile and the staged folder.

    Raises:
        PackagingError: The folder was not staged, or its function is not deployed as an image.
    """
    function = FUNCTIONS.get(folder.name)
    if function is None or function.dockerfile is None:
        raise PackagingError(f"{folder.name}: it is not deployed as a container image")
    if not folder.is_dir():
        raise PackagingError(f"{folder.name}: {folder} was not staged")
    files = {f"{folder.name}/{name}": path for name, path in _staged_files(folder)}
    files["Dockerfile"] = function.dockerfile
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        context = Path(temporary, "context")
        _write({name: path.read_bytes for name, path in files.items()}, context)
        return _replace(context, folder.with_name(f"{folder.name}.image"))


# --- the program --------------------------------------------------------------------------------

IMPORT = """
import sys, time
sys.path.insert(0, sys.argv[1])
start = time.perf_counter()
__import__(sys.argv[2])
print(time.perf_counter() - start)
"""


def import_time(function: Function, folder: Path, machine: Machine) -> float:
    """Return the seconds that a fresh interpreter takes to import the handler's module, the best of
    a few. As on Lambda, only the standard library is on its path beside `folder`, and no byte code
    is read or written.

    Args:
        function: The function.
        folder: Its folder, staged for `machine`.
        machine: A machine whose interpreter is here.

    Raises:
        PackagingError: The import fails; the message ends with the last line of the traceback.
    """
    module = function.handler.rpartition(".")[0]
    python = machine.interpreter
    return min(_import_once(function.name, folder, module, python) for _ in range(IMPORT_RUNS))


def _import_once(name: str, folder: Path, module: str, python: str) -> float:
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", IMPORT, str(folder), module],
        env={"AWS_REGION": "us-east-1"},  # Lambda always sets it
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason was given").splitlines()[-1]
        raise PackagingError(f"{name}: {module} cannot be imported: {reason}")
    return float(done.stdout)


ROW = "{:<11}{:<21}{:>9}{:>12}{:>13}  {}"


def package(function: Function, root: Path = BUILD) -> str:
    """Stage and pack a function under `root`, and return the line that describes the result.

    The digest of a build context is that of a zip file with its contents.

    Raises:
        PackagingError: As `stage`, and if it cannot be imported here.
    """
    folder = stage(function, root=root)
    unzipped = sum(path.stat().st_size for _, path in _staged_files(folder))
    if function.dockerfile is not None:
        result = image_context(folder)
        data, size, duration = _zipped(result, wheels_of(folder)), "-", "-"
    else:
        result = zip_of(folder)
        data = result.read_bytes()
        machine = nearest()
        with tempfile.TemporaryDirectory() as temporary:
            here = stage(function, machine, root=Path(temporary))
            seconds = import_time(function, here, machine)
        size, duration = _size(len(data)), f"{seconds * 1000:.0f} ms"
    digest = hashlib.sha256(data).hexdigest()
    return ROW.format(function.name, result.name, size, _size(unzipped), duration, digest)


def _size(size: int) -> str:
    """Return a size in the units of Lambda's limits: 1 MB is 1,000,000 bytes."""
    return f"{size / 1e6:.2f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def main(arguments: Sequence[str], root: Path = BUILD) -> int:
    """Package the named functions, or all of them, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.packaging",
        description=f"Make the packages of functions, for {LAMBDA.name}, under build/.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FUNCTIONS))
    names = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in FUNCTIONS]
    if unknown:
        known = ", ".join(FUNCTIONS)
        print(f"unknown function: {', '.join(unknown)} (known: {known})", file=sys.stderr)
        return 2
    print(ROW.format("FUNCTION", "PACKAGE", "SIZE", "UNZIPPED", "COLD IMPORT", "SHA256"))
    for name in dict.fromkeys(names or FUNCTIONS):
        try:
            print(package(FUNCTIONS[name], root), flush=True)
        except (PackagingError, OSError) as error:
            sys.stdout.flush()
            print(error, file=sys.stderr)
            return 1
    here = nearest()
    missing = "" if here.python == LAMBDA.python else f", as there is no python{LAMBDA.python} here"
    print(f"in {root}, for {LAMBDA.name}; imported on {here.name}{missing}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
