# ruff: noqa: T201 - a program: its results go to stdout
"""The functions' packages: a folder for Lambda, and of it a zip file or a container build context.

    python -m deploy.packaging [NAME…]

Nothing is compiled and nothing is run: files are taken out of the pinned wheels for Lambda's
machine. So a package is the same, byte for byte, on whatever machine and whenever it is made.
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
from typing import Literal

from janitor.owners import table as owners

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
REQUIREMENTS = ROOT / "deploy" / "requirements"

IMPORT_RUNS = 5


class PackagingError(Exception):
    """A package cannot be made; one line says why. What was there before is untouched."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What wheels are chosen for.

    Attributes:
        name: For people, as in `linux/arm64, Python 3.13`.
        platforms: Platform tags of wheels, best first; none: those of the running interpreter.
        python: `major.minor`.
        abi: ABI tag of CPython.
        interpreter: The Python here that can try what is made for it.
    """

    name: str
    platforms: tuple[str, ...]
    python: str
    abi: str
    interpreter: str = field(default=sys.executable, repr=False)


# Lambda's python3.13 is Amazon Linux 2023: glibc 2.34. manylinux2014 is the old name of 2_17,
# the oldest that knows aarch64.
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
    """The running interpreter on this machine, where a staged folder can be tried."""
    major, minor, *_ = platform.python_version_tuple()
    return Machine(
        name=f"{platform.system().lower()}/{platform.machine()}, Python {major}.{minor}",
        platforms=(),
        python=f"{major}.{minor}",
        abi=f"cp{major}{minor}",
    )


def nearest() -> Machine:
    """The Python on this machine that is most like Lambda's: of its version, if there is one."""
    found = shutil.which(f"python{LAMBDA.python}")
    if found is None or sys.platform != "linux":
        return host()
    if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        return host()  # a shim of pyenv's, without a Python behind it
    machine = platform.machine()
    return replace(
        LAMBDA,
        name=f"linux/{machine}, Python {LAMBDA.python}",
        platforms=tuple(tag.replace("aarch64", machine) for tag in LAMBDA.platforms),
        interpreter=found,
    )


@dataclass(frozen=True, kw_only=True)
class Function:
    """What a function's package is made of.

    Attributes:
        name: Name of the function and of its folder under `build/`.
        handler: What Lambda is told to call, `package.module.function`.
        sources: Its code: a folder goes in under its own name, a file at the top.
        requirements: Pins and hashes of the wheels that it needs; None: it needs none.
        services: AWS services whose models are kept of botocore's.
        left_out: Patterns of names in the package, as of fnmatch; `*` matches `/` too.
        dockerfile: Dockerfile of its image; None: it is deployed as a zip file.
    """

    name: str
    handler: str
    sources: tuple[Path, ...]
    requirements: Path | None = None
    services: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()
    dockerfile: Path | None = None

    @property
    def kind(self) -> Literal["zip", "image"]:
        """How it is deployed."""
        return "zip" if self.dockerfile is None else "image"


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
        # The terminal, and who deploys.
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
        "janitor/report/delimited.py",
        "janitor/report/difference.py",
        "janitor/report/formats.py",
        "janitor/report/html.py",
        "janitor/report/markdown.py",
        "janitor/report/native.py",
        "janitor/report/overview.py",
        "janitor/report/packed.py",
        "janitor/report/pictures.py",
        "janitor/report/schema.py",
        "janitor/report/structured.py",
        "janitor/report/table.py",
        "janitor/report/undo.py",
        # Parts of the dependencies that nothing here imports: most of what can be saved.
        "aws_lambda_powertools/event_handler/*",
        # But batch, data_classes, jmespath_utils, parameters, and parser, which batch may import.
        "aws_lambda_powertools/utilities/[!bdjp_]*",
        "aws_lambda_powertools/utilities/data_masking/*",
        "boto3/data/*",  # models of boto3.resource(…)
        "boto3/examples/*",
        "dateutil/rrule.py",  # and time zones, of which only UTC is ever meant
        "dateutil/zoneinfo/*",
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

# Of a wheel only what is imported, and the licences, which must go with it. Nothing in the
# packages reads its own metadata when it is imported.
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
"""1980-01-01, the first date that a zip file knows, in seconds since 1970."""


def stage(
    function: Function,
    machine: Machine = LAMBDA,
    *,
    extra: Mapping[str, Path] | None = None,
    root: Path = BUILD,
) -> Path:
    """Make the folder `<root>/<name>`: the function's code and all that it imports.

    Its wheels stay beside it, in `<name>.wheels`. Both replace those of an earlier staging, as a
    whole and only when all went well.

    Args:
        function: Whose package.
        machine: What it is to run on; where this runs does not matter.
        extra: More files, as name in the folder (with `/`) -> file.
        root: Made if it is missing.

    Raises:
        PackagingError: A wheel is missing for `machine`, or is not the pinned one; or the index
            cannot be reached; or a file is missing, or is there twice.
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
    """How to read each file of the folder, by its name there."""
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
    """The names that go into the package."""
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
    """Write files whose rights and dates depend on nothing: an image's layer has them too."""
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


def _replace(made: Path, final: Path) -> Path:
    if final.exists():
        shutil.rmtree(final)
    return made.rename(final)


# --- wheels -------------------------------------------------------------------------------------

RAW = -zlib.MAX_WBITS  # deflate without a header of zlib's


@dataclass(frozen=True)
class _WheelFile:
    """A file in a wheel; `name` is where an installation puts it."""

    name: str
    wheel: Path
    info: zipfile.ZipInfo

    @property
    def deflated(self) -> bool:
        return self.info.compress_type == zipfile.ZIP_DEFLATED

    def read(self) -> bytes:
        """What is in it."""
        return zlib.decompress(self.stream(), RAW) if self.deflated else self.stream()

    def stream(self) -> bytes:
        """Its bytes as they are in the wheel: if `deflated`, a raw deflate stream."""
        with self.wheel.open("rb") as wheel:
            wheel.seek(self.info.header_offset)
            name_length, extra_length = struct.unpack("<26xHH", wheel.read(30))
            wheel.seek(name_length + extra_length, os.SEEK_CUR)
            return wheel.read(self.info.compress_size)


def wheels_of(folder: Path) -> Path:
    """Where the wheels of a staged folder are."""
    return folder.with_name(f"{folder.name}.wheels")


def _wheel_files(wheels: Path) -> Iterator[_WheelFile]:
    """All files of a folder's wheels but scripts and data, which no import finds."""
    for path in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                match = re.fullmatch(r"[^/]+\.data/([^/]+)/(.*)", info.filename)
                scheme, name = match.groups() if match else ("purelib", info.filename)
                if scheme in {"purelib", "platlib"} and not info.is_dir():
                    yield _WheelFile(name, path, info)


def _download(function: Function, requirements: Path, machine: Machine, wheels: Path) -> None:
    """Put the pinned wheels into `wheels`; pip checks their hashes."""
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
    """One line for what pip says in many. Without a network it finds no distribution either."""
    errors = [line for line in stderr.splitlines() if line.strip()]
    if match := re.search(r"after connection broken by .*?(\w+Error)\b", stderr):
        return f"the package index cannot be reached ({match[1]})"
    if match := re.search(r"No matching distribution found for (\S+)", stderr):
        return f"there is no wheel of {match[1]} for {machine.name}, and nothing is compiled"
    if match := re.search(r"^\s+(\S+==\S+) from .*\n\s+Expected sha256", stderr, re.M):
        return f"{match[1]} is refused: its hash is not one of those in {requirements.name}"
    return next((line for line in errors if line.startswith("ERROR:")), (errors or ["pip"])[-1])


# --- the zip file -------------------------------------------------------------------------------

# The structures of a zip file, as APPNOTE.TXT has them (4.3.7, 4.3.12, 4.3.16). The zipfile
# module cannot take a stream that is compressed already.
LOCAL = struct.Struct("<IHHHHHIIIHH")
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
END = struct.Struct("<IHHHHIIH")
VERSION = 20  # deflate
UNIX = 3 << 8  # so that Lambda honours the permission bits
UTF8 = 1 << 11
DATE = 1 << 5 | 1  # 1980-01-01, at 00:00:00
MODE = (stat.S_IFREG | 0o644) << 16


def zip_of(folder: Path) -> Path:
    """Make `<folder>.zip` of a staged folder, and give its path.

    A file that is as it was in its wheel keeps the wheel's compressed stream; all others, our own
    code, are stored. Compressing again would give other bytes with another zlib (zlib-ng), or
    with other floating point (zopfli), and takes longer.

    Raises:
        PackagingError: The folder was not staged.
    """
    archive = folder.with_name(f"{folder.name}.zip")
    data = _zipped(folder, wheels_of(folder))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made = Path(temporary, "zip")
        made.write_bytes(data)
        return made.replace(archive)


def _zipped(folder: Path, wheels: Path) -> bytes:
    if not folder.is_dir() or not wheels.is_dir():
        raise PackagingError(f"{folder.name}: {folder} was not staged")
    packed = {file.name: file for file in _wheel_files(wheels)}
    archive, directory = bytearray(), bytearray()
    files = _staged_files(folder)
    for name, path in files:
        data = path.read_bytes()
        method, stream = _deflated(packed.get(name), data)
        encoded = name.encode()
        sizes = (zlib.crc32(data), len(stream), len(data), len(encoded), 0)
        fields = (VERSION, UTF8, method, 0, DATE, *sizes)  # the same in both headers
        directory += CENTRAL.pack(0x02014B50, UNIX | VERSION, *fields, 0, 0, 0, MODE, len(archive))
        directory += encoded
        archive += LOCAL.pack(0x04034B50, *fields) + encoded + stream
    end = END.pack(0x06054B50, 0, 0, len(files), len(files), len(directory), len(archive), 0)
    return bytes(archive + directory + end)


def _deflated(packed: _WheelFile | None, data: bytes) -> tuple[int, bytes]:
    """The compression method and the stream for a file that holds `data`."""
    if packed is not None and packed.deflated and packed.read() == data:
        return zipfile.ZIP_DEFLATED, packed.stream()
    return zipfile.ZIP_STORED, data


def _staged_files(folder: Path) -> list[tuple[str, Path]]:
    """Names and paths, sorted; without the caches that running the folder leaves there."""
    return sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    )


# --- the container build context ----------------------------------------------------------------


def image_context(folder: Path) -> Path:
    """Make `<folder>.image`, a container build context: the Dockerfile and the staged folder.

    Raises:
        PackagingError: The folder is not that of a function that is deployed as an image.
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
    """Seconds that a fresh interpreter takes to import the handler's module: the best of a few.

    Nothing else than the standard library is on its path, and no byte code is read or written,
    as on Lambda.

    Args:
        function: Whose folder.
        folder: Staged for `machine`.
        machine: One that is here.

    Raises:
        PackagingError: It cannot be imported; the last line of the traceback.
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
    """Stage and pack one function under `root`, and give the line that describes the result.

    The digest of a build context is that of a zip file of it.

    Raises:
        PackagingError: As `stage`, and if it cannot be imported here.
    """
    folder = stage(function, root=root)
    unzipped = sum(path.stat().st_size for _, path in _staged_files(folder))
    if function.kind == "image":
        made = image_context(folder)
        data, size, seconds = _zipped(made, wheels_of(folder)), "-", "-"
    else:
        made = zip_of(folder)
        data = made.read_bytes()
        size, seconds = _size(len(data)), f"{_nearest_import_time(function) * 1000:.0f} ms"
    digest = hashlib.sha256(data).hexdigest()
    return ROW.format(function.name, made.name, size, _size(unzipped), seconds, digest)


def _nearest_import_time(function: Function) -> float:
    machine = nearest()
    with tempfile.TemporaryDirectory() as root:
        return import_time(function, stage(function, machine, root=Path(root)), machine)


def _size(size: int) -> str:
    """Bytes in the units of the limits: 1 MB is 1,000,000 bytes."""
    return f"{size / 1e6:.2f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def main(arguments: Sequence[str], root: Path = BUILD) -> int:
    """Package the named functions, all of them without a name; give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.packaging",
        description=f"Make the packages of functions, for {LAMBDA.name}, under build/.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FUNCTIONS))
    names = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in FUNCTIONS]
    if unknown:
        print(f"no function: {', '.join(unknown)} (known: {', '.join(FUNCTIONS)})", file=sys.stderr)
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
