"""Bayeux over raw TCP with nothing but Python: subscribes, publishes, prints what arrives.

    bayeuxd --set transports.socket.listen=127.0.0.1:8082
    python3 examples/raw_socket.py 127.0.0.1 8082
"""

import json
import socket
import sys

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
lines = connection.makefile(encoding="utf-8", newline="\n")


def send(*messages):
    """A batch is one line. (A NUL may end it as well; the server answers with what we use.)"""
    connection.sendall(json.dumps(messages).encode() + b"\n")


send({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["socket"]})
client_id = json.loads(lines.readline())[0]["clientId"]
connect = {"channel": "/meta/connect", "clientId": client_id, "connectionType": "socket"}
send({"channel": "/meta/subscribe", "clientId": client_id, "subscription": "/news"}, connect)
send({"channel": "/news", "clientId": client_id, "data": "hello from Python"})

for line in lines:
    for message in json.loads(line):
        if "data" in message:
            print(message["channel"], json.dumps(message["data"]), flush=True)
        elif message["channel"] == "/meta/connect":
            send(connect)  # the next one: it shows the server that we are alive
