#!/usr/bin/env python3
"""Run the unit tests and simulations (meson) and the end-to-end tests (pytest) of one build, with
--interop those with the vendors' own libraries too (tools/interop); show what failed, and end in
one line: 'N passed, N failed'."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run_meson(build: pathlib.Path) -> tuple[int, int]:
    """Each cmocka program prints a line per test; a program that dies counts as one failure."""
    done = subprocess.run(["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs"],
                          cwd=ROOT)
    passed = failed = 0
    log = build / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        output = entry.get("stdout", "") + entry.get("stderr", "")
        good = len(re.findall(r"^\[       OK \]", output, re.M))
        bad = len(re.findall(r"^\[  FAILED  \] (?!.*test\(s\))", output, re.M))
        if entry["result"] == "OK":
            passed += max(good, 1)
        else:
            passed += good
            failed += max(bad // 2, 1)
    if done.returncode != 0 and failed == 0:
        failed = 1
    return passed, failed


def run_file(build: pathlib.Path, file: pathlib.Path) -> tuple[int, int]:
    report = build / f"pytest-{file.stem}.xml"
    report.unlink(missing_ok=True)
    env = dict(os.environ, GRAPNEL_BINARY=str((build / "grapnel").resolve()))
    done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
                           "--junitxml", str(report), str(file)], cwd=ROOT, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = done.stdout.strip().splitlines() or ["no word"]
    skipped = [f"  {line}" for line in lines if line.startswith("SKIPPED")]
    print(done.stdout if done.returncode else "\n".join([f"{file.name}: {lines[-1]}", *skipped]),
          flush=True)
    if not report.exists():
        return 0, 1
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite").attrib
    bad = int(suite["failures"]) + int(suite["errors"])
    if done.returncode != 0 and bad == 0:
        bad = 1
    return int(suite["tests"]) - bad - int(suite["skipped"]), bad


def run_pytest(build: pathlib.Path) -> tuple[int, int]:
    """Two files at a time, the largest first: most of an end-to-end test is waiting."""
    files = sorted((ROOT / "tests" / "e2e").glob("test_*.py"), key=lambda f: -f.stat().st_size)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda file: run_file(build, file), files))
    return sum(passed for passed, _ in counts), sum(failed for _, failed in counts)


def run_interop(build: pathlib.Path) -> tuple[int, int]:
    """Node's runner counts at the end of its TAP; no such end counts as one failure."""
    report = build / "interop.tap"
    report.unlink(missing_ok=True)
    done = subprocess.run(["tools/interop"], cwd=ROOT, env=dict(os.environ, BUILD=str(build)))
    text = report.read_text() if report.exists() else ""
    counts = {word: int(n) for word, n in re.findall(r"^# (pass|fail|cancelled) (\d+)$", text, re.M)}
    passed = counts.get("pass", 0)
    bad = counts.get("fail", 0) + counts.get("cancelled", 0)
    return passed, bad if bad or (done.returncode == 0 and passed) else 1


def main() -> int:
    build = ROOT / sys.argv[1]
    passed, failed = run_meson(build)
    if any((ROOT / "tests" / "e2e").glob("test_*.py")):
        more, bad = run_pytest(build)
        passed, failed = passed + more, failed + bad
    if "--interop" in sys.argv[2:]:
        more, bad = run_interop(build)
        passed, failed = passed + more, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
