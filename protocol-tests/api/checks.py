"""The publish API as its users meet it: the programs of docs/publishing.md, run as they stand; and
random requests to it and to the admin API, made from their OpenAPI descriptions.

Prints `ok   NAME` or `FAIL NAME` with the reason indented. `checks.py docs` and `checks.py fuzz` run
a part.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback
import urllib.request

from broker import BINARY, ROOT, Broker
from subscriber import Subscriber

PAGE = ROOT / "docs" / "publishing.md"
# Fewer or more random requests do not change what is tested, only how long.
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))


def programs():
    """The fenced programs of the page, by the name in their first line."""
    blocks = re.findall(r"^```\w+\n(?:#|//) (\S+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return dict(blocks)


def run(command, broker, folder, **options):
    """Runs a program of the page; its output if it ends well."""
    path = f"{pathlib.Path(BINARY).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "URL": broker.url, "KEY": broker.key, "PATH": path}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, **options
    )
    assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def publishes(name, command):
    """Checks that a program of the page reaches the subscriber and prints that it did."""

    def check(broker, folder):
        (folder / name).write_text(programs()[name])
        subscriber = Subscriber(broker.url, "/chat/demo")
        output = run(command, broker, folder)
        assert re.search(r"\"?'?(ok|successful)\"?'?: ?[Tt]rue", output), output
        assert subscriber.messages() == [{"channel": "/chat/demo", "data": {"text": "hello"}}]

    return check


def the_stream(broker, folder):
    subscriber = Subscriber(broker.url, "/chat/demo")
    results = run(["bash", "-c", programs()["stream"]], broker, folder).splitlines()
    assert [json.loads(line)["ok"] for line in results] == [True] * 3, results
    assert [message["data"] for message in subscriber.messages()] == [1, 2, 3]


def the_key(broker, folder):
    output = run(["bash", "-c", programs()["keys"]], broker, folder)
    secret, lines = re.fullmatch(r"secret, shown this once: (\S{43})\n\n(.*)", output, re.S).groups()
    assert secret not in lines
    (folder / "bayeuxd.toml").write_text(lines)
    run([BINARY, "config", "check", "bayeuxd.toml"], broker, folder)


def the_banner(broker, folder):
    line = next(line for line in broker.banner.splitlines() if "curl" in line).strip()
    assert broker.key not in broker.banner, "a pipe may be a log"
    answer = json.loads(run(["bash", "-c", line + " -s"], broker, folder))
    assert answer["ok"], answer


def random_requests(broker, folder):
    fuzz(broker, folder, f"{broker.url}/openapi.json", broker.key)


def random_admin_requests(broker, folder):
    # A broker that has drained answers nobody.
    description = folder / "openapi.json"
    address = f"{broker.admin_url}/admin/v1/openapi.json"
    asking = urllib.request.Request(address, headers={"X-API-Key": broker.admin_key})
    description.write_bytes(urllib.request.urlopen(asking, timeout=10).read())
    options = [f"--url={broker.admin_url}", "--exclude-path=/admin/v1/drain"]
    fuzz(broker, folder, str(description), broker.admin_key, *options)


def fuzz(broker, folder, description, key, *options):
    """Asks schemathesis for requests, right and wrong, and judges the answers by the description."""
    command = [
        str(pathlib.Path(sys.executable).parent / "schemathesis"),
        "run",
        description,
        f"--header=X-API-Key: {key}",
        *options,
        "--checks=not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance,response_headers_conformance,unsupported_method",
        f"--max-time={FUZZ_SECONDS}",
        "--request-timeout=10",
        "--generation-database=none",
        "--suppress-health-check=all",
        "--warnings=off",
        "--no-color",
    ]
    os.environ["SCHEMATHESIS_HOOKS"] = str(pathlib.Path(__file__).with_name("hooks.py"))
    output = run(command, broker, folder)
    print(f"     {re.search(r'[0-9]+ generated, [0-9]+ passed', output).group()}")
    assert "panic" not in broker.log(), broker.log()


def every_program(_, __):
    """A program that nobody runs, or that the page does not name, would rot."""
    languages = re.findall(r"^```(bash|python|js|java)$", PAGE.read_text(), re.M)
    assert len(programs()) == len(languages), f"{len(languages)} programs, named: {list(programs())}"
    run_here = {"curl", "publish.py", "publish.mjs", "Publish.java", "stream", "bare", "keys"}
    assert set(programs()) == run_here, set(programs()) ^ run_here


DOCS = {
    "every program of the page is run here": every_program,
    "the line that the broker prints": the_banner,
    "the curl line": publishes("curl", ["bash", "curl"]),
    "the Python program": publishes("publish.py", ["python3", "publish.py"]),
    "the Node program": publishes("publish.mjs", ["node", "publish.mjs"]),
    "the Java program": publishes("Publish.java", ["java", "Publish.java"]),
    "the stream": the_stream,
    "the bare Bayeux publish": publishes("bare", ["bash", "bare"]),
    "a generated key": the_key,
}
FUZZ = {
    "random requests are answered as described": random_requests,
    "random requests of operators are answered as described": random_admin_requests,
}


def main():
    chosen = {"docs": DOCS, "fuzz": FUZZ}.get(sys.argv[1] if sys.argv[1:] else "", {**DOCS, **FUZZ})
    failed = 0
    for name, check in chosen.items():
        try:
            with Broker() as broker, tempfile.TemporaryDirectory() as folder:
                check(broker, pathlib.Path(folder))
            print(f"ok   {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name}")
            print("     " + traceback.format_exc().replace("\n", "\n     "), flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
