"""T19, T30: forbidden code: TLS without checks, readers that run their input, shells."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "telnetlib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "mktemp", "_create_unverified_context"}
UNSAFE_NAMES = {"CERT_NONE", "CERT_OPTIONAL", "_create_default_https_context", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1"}
# Arguments that turn a check off, or let the environment choose where requests go.
UNSAFE_KEYWORDS = {
    ("ssl", False),
    ("verify", False),
    ("verify_ssl", False),
    ("check_hostname", False),
    ("shell", True),
    ("trust_env", True),
    ("allow_redirects", True),
    ("allow_pickle", True),
    ("strings_to_formulas", True),
}
# `re.compile` is a pattern, `connection.execute` is SQL in a sandbox.
METHODS_OF = {"compile": {"re"}}


@pytest.fixture(scope="module")
def sources():
    """File → its syntax tree. Parsing them all takes a second: not at import, which every worker does."""
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in (ROOT / "crawler").rglob("*.py")}


def offences(source: ast.Module) -> list[str]:
    """The forbidden code of a source, as `line: offence`."""
    found = []
    for node in ast.walk(source):
        match node:
            case ast.Import(names=names):
                found += [(node.lineno, f"import {n.name}") for n in names if n.name.split(".")[0] in UNSAFE_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                found.append((node.lineno, f"from {module}"))
            case ast.Call(func=ast.Name(id=name)) if name in UNSAFE_CALLS:
                found.append((node.lineno, name))
            case ast.Call(func=ast.Attribute(attr=name, value=owner)) if name in UNSAFE_CALLS:
                if not (isinstance(owner, ast.Name) and owner.id in METHODS_OF.get(name, set())):
                    found.append((node.lineno, name))
            case ast.keyword(arg=str(name), value=ast.Constant(value=value)) if (name, value) in UNSAFE_KEYWORDS:
                found.append((node.lineno, f"{name}={value}"))
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=ast.Constant(value=value)):
                if (name, value) in UNSAFE_KEYWORDS:
                    found.append((node.lineno, f"{name} = {value}"))
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in UNSAFE_NAMES:
                found.append((node.lineno, name))
    return [f"{line}: {what}" for line, what in found]


def test_no_source_turns_a_check_off_or_runs_what_it_reads(sources):
    """T19, T30."""
    found = {path: offences(source) for path, source in sources.items()}
    assert {path: what for path, what in found.items() if what} == {}
    assert len(found) > 150


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import yaml",
        "from marshal import loads",
        "eval('1')",
        "os.system('x')",
        "subprocess.run('x', shell=True)",
        "aiohttp.TCPConnector(ssl=False)",
        "session.get(url, ssl=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
        "aiohttp.ClientSession(trust_env=True)",
        "session.get(url, allow_redirects=True)",
        "numpy.load(path, allow_pickle=True)",
    ],
)
def test_the_rules_find_what_they_are_for(source):
    """Control."""
    assert len(offences(ast.parse(source))) == 1


def test_tls_contexts_are_made_in_one_place(sources):
    """T19: all connections to the cloud use the one context that checks names and certificates."""
    makers = {
        path
        for path, source in sources.items()
        for node in ast.walk(source)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"create_default_context", "SSLContext"}
    }
    assert makers == {"crawler/client/tls.py"}


GUARD = """
import importlib, pkgutil, sys
forbidden = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system",
             "os.posix_spawn", "os.fork", "os.exec", "pickle.find_class"}
def watch(event, arguments):
    if event in forbidden:
        raise SystemExit(f"{event} at import")
sys.addaudithook(watch)
import crawler
names = [found.name for found in pkgutil.walk_packages(crawler.__path__, "crawler.") if "__main__" not in found.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def import_all(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_importing_any_module_reaches_for_nothing():
    """T30: no connection, no name looked up, no process."""
    done = import_all(GUARD)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 150
    control = import_all(GUARD.replace("names = [", "import socket; socket.getaddrinfo('127.0.0.1', 1); names = ["))
    assert "socket.getaddrinfo at import" in control.stderr


class Planted:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_parquet_file_with_a_pickled_type_runs_nothing(tmp_path):
    """T30: old snapshots, or foreign files in their place, are read as plain Arrow types."""
    touched = tmp_path / "touched"
    payload = pickle.dumps(Planted(touched))
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": payload}
    schema = pa.schema([pa.field("name", pa.string(), metadata=kind)])
    path = tmp_path / "part-0.parquet"
    pq.write_table(pa.table([["a"]], schema=schema), path)
    assert pq.read_table(path)["name"].to_pylist() == ["a"]
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT name FROM '{path}'").fetchall() == [("a",)]
    assert not touched.exists()
    pickle.loads(payload)
    assert touched.exists(), "control: whoever unpickles it writes the file"
