// CometD's Java client monitors. Over WebSocket it takes every message below /meta for a reply and drops it,
// so there it uses the second feed.

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/** Checks with a broker that lets every session monitor. */
final class Monitoring {
    private static final List<String> LIFE =
        List.of("handshake", "connect", "subscribe", "unsubscribe", "disconnect");

    private final String transport;

    Monitoring(String transport) {
        this.transport = transport;
    }

    Stream<Check> checks() {
        return names().map(name -> new Check("a monitor of " + name + " sees a life in order, and its own messages still flow", () -> {
            try (Broker broker = new Broker(Broker.SHORT, "--dev");
                Client monitor = new Client(transport, broker.port());
                Client client = new Client(transport, broker.port())) {
                monitor.open();
                List<Object> events = monitor.subscribe(name);
                String channel = Check.channel();
                List<Object> inbox = monitor.subscribe(channel);
                client.open();
                client.subscribe(channel + "/life");
                for (long n = 0; n < 100; n++) Check.that(client.publish(channel, n).isSuccessful(), n);
                client.bayeux.getChannel(channel + "/life").unsubscribe();
                // Over HTTP the disconnect could overtake it.
                Client.await("a reply to unsubscribe", () -> client.received.stream()
                    .anyMatch(message -> message.get("channel").equals("/meta/unsubscribe")));
                Client.answer("a reply to disconnect", client.bayeux::disconnect);
                Client.await("the end of the client", () -> told(events, channel + "/life").contains("disconnect"));
                Check.equal(told(events, channel + "/life"), LIFE);
                Client.await("100 messages", () -> inbox.size() >= 100);
                Check.equal(inbox.size(), 100);
                Check.equal(monitor.count("/meta/handshake"), 1L);
            }
        }));
    }

    private Stream<String> names() {
        Stream<String> second = Stream.of("/monitor/**", "/monitor/*", "/monitor");
        Stream<String> first = Stream.of("/meta/**", "/meta/monitor/**", "/meta/monitor/*", "/meta/monitor");
        return transport.equals("websocket") ? second : Stream.concat(second, first);
    }

    /** What happened to the session that subscribed to `channel`, publishes left out. Its own replies have no data. */
    private static List<String> told(List<Object> events, String channel) {
        List<Map<?, ?>> all = events.stream().filter(Objects::nonNull).<Map<?, ?>>map(event -> (Map<?, ?>) event).toList();
        Object sid = all.stream().filter(event -> channel.equals(event.get("channel"))).findFirst()
            .map(event -> (Object) event.get("sid")).orElse("nobody");
        return all.stream().filter(event -> Objects.equals(sid, event.get("sid")))
            .map(event -> (String) event.get("type")).filter(type -> !type.equals("publish")).toList();
    }
}
