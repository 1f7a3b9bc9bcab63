"""Checks bayeuxd.yaml: the schemas of Kubernetes, and that the broker takes its configuration.

usage: check.py BAYEUXD, where BAYEUXD is the broker's binary
"""

import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

VERSION = "1.30"  # the oldest version of Kubernetes that is still in use

documents = list(yaml.safe_load_all(pathlib.Path(__file__).with_name("bayeuxd.yaml").read_text()))
for document in documents:
    kubernetes_validate.validate(document, VERSION, strict=True)
    print(f"{document['kind']} {document['metadata']['name']}: valid")


def only(kind):
    """The one document of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


pod = only("Deployment")["spec"]["template"]["spec"]
(container,) = pod["containers"]
with tempfile.TemporaryDirectory() as folder:
    # The keys lie elsewhere in the container, and are made by the operator.
    keys = pathlib.Path(folder, "keys")
    keys.mkdir()
    for name in ("operator", "publisher"):
        (keys / name).write_text(f"a-secret-of-the-{name}-that-is-long-enough")
        (keys / name).chmod(0o600)
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    text = only("ConfigMap")["data"]["bayeuxd.toml"].replace(mounted["keys"], str(keys))
    file = pathlib.Path(folder, "bayeuxd.toml")
    file.write_text(text)
    listing = subprocess.run(
        [sys.argv[1], "config", "check", "--print-effective", file], check=True, capture_output=True, text=True
    ).stdout

lines = [line.split("  #")[0] for line in listing.splitlines() if not line.startswith("#")]
values = dict(line.split(" = ", 1) for line in lines)
drain = sum(int(values[f"server.drain_{part}"].strip('"s')) for part in ("delay", "timeout"))
grace = pod["terminationGracePeriodSeconds"]
assert grace > drain, f"the pod is killed after {grace} s, the drain takes up to {drain} s"
ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
assert values["server.listen"].endswith(f":{ports['bayeux']}\"]"), values["server.listen"]
assert values["admin.listen"].endswith(f":{ports['admin']}\""), values["admin.listen"]
print("the broker accepts the configuration, and is given the time to drain")
