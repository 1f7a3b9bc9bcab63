"""A Bayeux session that polls: enough of a client to see what was published."""

import json
import urllib.request


class Subscriber:
    """Subscribes to a channel or pattern."""

    def __init__(self, url, channel):
        self._url = url + "/cometd"
        self._client_id = None
        reply = self._send(
            channel="/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"]
        )[0]
        assert reply["successful"], reply
        self._client_id = reply["clientId"]
        reply = self._send(channel="/meta/subscribe", subscription=channel)[0]
        assert reply["successful"], reply

    def messages(self):
        """What has arrived since the last call."""
        replies = self._send(
            channel="/meta/connect", connectionType="long-polling", advice={"timeout": 0}
        )
        return [reply for reply in replies if "data" in reply]

    def _send(self, **message):
        if self._client_id:
            message["clientId"] = self._client_id
        body = json.dumps([{"id": "1", **message}]).encode()
        with urllib.request.urlopen(urllib.request.Request(self._url, body), timeout=10) as response:
            return json.load(response)
