"""Apache Kafka's jars: Java found and asked for its version, Maven run once, the result kept in a cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.errors import RunError, UserError

POM = Path(__file__).with_name("pom.xml")
LEAST_JAVA = 17  # Kafka 4's brokers run on nothing older
NEEDS_JAVA = f"the jvm broker needs Java {LEAST_JAVA} or newer"
JAVA_ANSWER_LIMIT_S = 20.0
# Maven says each file it begins and ends; silent for this long means that nothing arrives.
MAVEN_SILENCE_LIMIT_S = 20.0
MAVEN_LIMIT_S = 300.0
CONNECT_LIMIT_MS = 5_000


def java() -> str:
    """The path of a Java that is new enough. Raises UserError that says what was found instead."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java")
    if found is None:
        where = f"JAVA_HOME ({home}) holds no bin/java" if home else "java is not on PATH"
        raise UserError(f"{NEEDS_JAVA}: {where}")
    try:
        asked = subprocess.run(
            [found, "-version"], capture_output=True, text=True, timeout=JAVA_ANSWER_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{NEEDS_JAVA}: {found} does not run ({error})") from None
    said = asked.stderr + asked.stdout
    version = java_version(said)
    if version is None:
        first = (said.strip() or f"exit code {asked.returncode}").splitlines()[0]
        raise UserError(f"{NEEDS_JAVA}: {found} -version says: {first}")
    if version < LEAST_JAVA:
        raise UserError(f"{NEEDS_JAVA}: {found} is Java {version}; set JAVA_HOME to a newer one")
    return found


def java_version(said: str) -> int | None:
    """The feature release that `java -version` says: 8 of "1.8.0_402", 17 of "17.0.15", 26 of "26-ea"."""
    match = re.search(r'version "(\d+)(?:\.(\d+))?', said)
    if match is None:
        return None
    major, minor = int(match[1]), int(match[2] or 0)
    return minor if major == 1 else major


def cache_dir() -> Path:
    """The user's cache folder of Interlayer; INTERLAYER_CACHE overrides it."""
    from schemas.kernel_cache import home  # late: it loads LLVM, which no other process of a broker needs

    return home()


def jars() -> Path:
    """The folder of Kafka's jars, fetched through Maven on first use.

    Raises UserError where there is no Maven, RunError where the jars cannot be fetched.
    """
    folder = cache_dir() / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():  # it was renamed into place when whole
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise UserError("the jvm broker needs Maven once, to fetch Apache Kafka: mvn is not on PATH")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _fetch(maven, folder)
    return folder


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Of two starters the second waits and finds the first one's jars. The lock dies with its holder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(maven: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
        project, log = Path(scratch), Path(scratch) / "maven.log"
        shutil.copyfile(POM, project / "pom.xml")
        argv = [
            maven, "-B", "-C", "-Dstyle.color=never", "dependency:copy-dependencies",
            "-DincludeScope=runtime", "-DoutputDirectory=lib", f"-Dmaven.wagon.rto={CONNECT_LIMIT_MS}",
            f"-Daether.connector.connectTimeout={CONNECT_LIMIT_MS}",
            "-Dmaven.wagon.http.retryHandler.count=1",
        ]  # fmt: skip  # a flag a line is harder to read
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        reason = _wait_for_maven(process, log)
        if reason is None and not any((project / "lib").glob("kafka_2.13-*.jar")):
            reason = "Maven ended well and left no jars"
        if reason is not None:
            raise RunError(f"the jvm broker's jars cannot be fetched through {maven}: {reason}")
        (project / "lib").rename(folder)


def _wait_for_maven(process: subprocess.Popen[bytes], log: Path) -> str | None:
    """None when Maven ended well, else one line why not."""
    begun = heard = time.monotonic()
    size = 0
    try:
        while process.poll() is None:
            now = time.monotonic()
            if log.stat().st_size != size:
                size, heard = log.stat().st_size, now
            if now - heard > MAVEN_SILENCE_LIMIT_S:
                return f"nothing arrived for {MAVEN_SILENCE_LIMIT_S:g} s"
            if now - begun > MAVEN_LIMIT_S:
                return f"not done after {MAVEN_LIMIT_S:g} s"
            time.sleep(0.1)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)  # mvn is a shell script: its Java is in the same group
            process.wait()
    if process.returncode == 0:
        return None
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("[ERROR]")] or lines[-1:]
    return errors[0].removeprefix("[ERROR]").strip() if errors else f"exit code {process.returncode}"
