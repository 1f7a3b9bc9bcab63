// The network and the broker fail; the client comes back, and nobody lost what the broker had taken.

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.cometd.bayeux.Channel;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.ext.AckExtension;

/** The checks of one transport; each has a broker of its own. */
final class Faults {
    private final String transport;

    Faults(String transport) {
        this.transport = transport;
    }

    Stream<Check> checks() {
        return Stream.of(
            new Check("a broker that was killed and started again gets its client back", this::restart),
            new Check("p056 what came while the network was away arrives in order, once", this::away),
            new Check("p054 a session that was away too long has expired; the client begins anew", this::expiry),
            new Check("a client whose broker stops is told to come back later, and does", this::drain),
            new Check("p132 a session that the server ends stays away, as it was told", this::ended));
    }

    /** Subscribes in the handshake listener, as applications should. */
    private static List<Object> robust(Client one, String channel) throws Exception {
        List<Object> inbox = new CopyOnWriteArrayList<>();
        one.bayeux.getChannel(Channel.META_HANDSHAKE).addListener((ClientSessionChannel.MessageListener) (c, reply) -> {
            if (reply.isSuccessful()) {
                one.bayeux.getChannel(channel).subscribe((own, message) -> inbox.add(message.getData()));
            }
        });
        one.open();
        subscribed(one, 1);
        return inbox;
    }

    private static void subscribed(Client one, int times) throws Exception {
        Client.await("the subscription", () -> one.received.stream()
            .filter(m -> m.get("channel").equals("/meta/subscribe") && m.get("successful").equals(true))
            .count() >= times);
    }

    private void restart() throws Exception {
        try (Broker broker = new Broker(Broker.SHORT); Client one = new Client(transport, broker.port())) {
            String channel = Check.channel();
            List<Object> inbox = robust(one, channel);
            one.held();
            String before = one.bayeux.getId();
            broker.kill();
            Thread.sleep(300);
            broker.start();
            subscribed(one, 2);
            Check.that(!before.equals(one.bayeux.getId()), "the same session");
            publish(broker, channel, 3);
            Client.await("3 messages", () -> inbox.size() == 3);
            Check.equal(List.copyOf(inbox), Main.numbers(3));
        }
    }

    private void away() throws Exception {
        try (Broker broker = new Broker(Broker.SHORT);
                Relay relay = new Relay(broker.port());
                Client one = new Client(transport, relay.port())) {
            one.bayeux.addExtension(new AckExtension());
            String channel = Check.channel();
            List<Object> inbox = robust(one, channel);
            one.held();
            String before = one.bayeux.getId();
            relay.leave();
            publish(broker, channel, 20);
            Thread.sleep(1000);
            Check.equal(inbox.size(), 0);
            relay.pass();
            Client.await("20 messages", () -> inbox.size() >= 20);
            Check.equal(List.copyOf(inbox), Main.numbers(20));
            Check.equal(one.bayeux.getId(), before);
            Check.equal(one.count("/meta/handshake"), 1L);
        }
    }

    private void expiry() throws Exception {
        Map<String, String> settings = new HashMap<>(Broker.SHORT);
        settings.put("session.max_interval", "1s");
        try (Broker broker = new Broker(settings);
                Relay relay = new Relay(broker.port());
                Client one = new Client(transport, relay.port())) {
            String channel = Check.channel();
            List<Object> inbox = robust(one, channel);
            one.held();
            String before = one.bayeux.getId();
            relay.leave();
            Thread.sleep(2500); // removal is at most 1 s late
            relay.pass();
            subscribed(one, 2);
            Check.that(!before.equals(one.bayeux.getId()), "the same session");
            publish(broker, channel, 1);
            Client.await("a message", () -> inbox.size() == 1);
        }
    }

    private void drain() throws Exception {
        try (Broker broker = new Broker(Broker.SHORT); Client one = new Client(transport, broker.port())) {
            String channel = Check.channel();
            List<Object> inbox = robust(one, channel);
            one.held();
            broker.close();
            Check.that(!one.bayeux.isDisconnected(), "a client that gave up");
            broker.start();
            subscribed(one, 2);
            publish(broker, channel, 1);
            Client.await("a message", () -> inbox.size() == 1);
        }
    }

    private void ended() throws Exception {
        Map<String, String> settings = new HashMap<>(Broker.SHORT);
        settings.put("session.timeout", "300ms");
        settings.put("session.activity", "client");
        settings.put("session.max_inactivity", "1s");
        try (Broker broker = new Broker(settings); Client one = new Client(transport, broker.port())) {
            one.open();
            one.gone();
            Map<String, Object> last = one.received.stream()
                .filter(m -> m.get("channel").equals("/meta/disconnect")).findFirst().orElseThrow();
            Check.equal(last, Map.of("channel", "/meta/disconnect", "successful", true));
            Check.equal(one.count("/meta/handshake"), 1L);
        }
    }

    /** Publishes numbers from 0, by a client of their own at the broker itself. */
    private void publish(Broker broker, String channel, long count) throws Exception {
        try (Client writer = new Client(transport, broker.port())) {
            writer.open();
            for (long n = 0; n < count; n++) {
                Check.that(writer.publish(channel, n).isSuccessful(), n);
            }
        }
    }
}
