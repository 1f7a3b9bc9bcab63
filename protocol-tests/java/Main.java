// CometD's Java client against a broker of its own: the same scenarios over each transport. This client
// is the strictest of all about replies.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.cometd.bayeux.Message;
import org.cometd.client.ext.AckExtension;

/** Started by ../run. */
public final class Main {
    private final String transport;
    private final Broker broker;

    private Main(String transport, Broker broker) {
        this.transport = transport;
        this.broker = broker;
    }

    public static void main(String[] args) throws Exception {
        List<Thread> threads = new ArrayList<>();
        List<Boolean> results = java.util.Collections.synchronizedList(new ArrayList<>());
        for (String transport : List.of("long-polling", "websocket")) {
            Thread thread = new Thread(() -> {
                try {
                    Broker broker = new Broker(Broker.SHORT);
                    Main main = new Main(transport, broker);
                    Stream<Check> checks = Stream.of(
                        main.sessions(), main.deliveries(), new Faults(transport).checks(),
                        new Services(transport).checks(), new Monitoring(transport).checks(),
                        Stream.of(new Check("the broker drains with exit code 0 and never panicked", broker::close))
                    ).flatMap(each -> each);
                    for (Check check : checks.toList()) {
                        results.add(check.run("CometD Java over " + transport));
                    }
                } catch (Exception failure) {
                    failure.printStackTrace();
                    results.add(false);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        System.exit(results.contains(false) ? 1 : 0);
    }

    private Client client() throws Exception {
        return new Client(transport, broker.port());
    }

    private Stream<Check> sessions() {
        return Stream.of(
            new Check("p015 the handshake reply opens a session", () -> {
                try (Client one = client()) {
                    Map<String, Object> reply = one.open();
                    Check.equal(reply.get("version"), "1.0");
                    Check.equal(one.bayeux.getTransport().getName(), transport);
                    Check.equal(one.count("/meta/handshake"), 1L);
                }
            }),
            new Check("p031 connects are held and follow each other", () -> {
                try (Client one = client()) {
                    long start = System.nanoTime();
                    one.open();
                    Client.await("three replies", () -> one.connects().size() >= 3);
                    long ms = (System.nanoTime() - start) / 1_000_000;
                    Check.that(ms > 3900, "two holds of 2 s took " + ms + " ms");
                }
            }),
            new Check("p079 a disconnect is answered and ends the session", () -> {
                try (Client one = client()) {
                    one.open();
                    one.held();
                    Message reply = Client.answer("a reply to disconnect", one.bayeux::disconnect);
                    Check.that(reply.isSuccessful(), reply);
                    one.gone();
                }
            }),
            new Check("a client that has disconnected can shake hands again", () -> {
                try (Client one = client()) {
                    String first = (String) one.open().get("clientId");
                    Client.answer("a reply to disconnect", one.bayeux::disconnect);
                    one.gone();
                    Check.that(!first.equals(one.open().get("clientId")), "the same session");
                }
            }));
    }

    private Stream<Check> deliveries() {
        return Stream.of(
            new Check("p056 a burst of 500 messages arrives in order", () -> {
                try (Client reader = client(); Client writer = client()) {
                    reader.open();
                    writer.open();
                    String channel = Check.channel();
                    List<Object> inbox = reader.subscribe(channel);
                    for (long n = 0; n < 500; n++) {
                        if (transport.equals("websocket")) writer.bayeux.getChannel(channel).publish(n);
                        else Check.that(writer.publish(channel, n).isSuccessful(), n);
                    }
                    Client.await("500 messages", () -> inbox.size() >= 500);
                    Check.equal(List.copyOf(inbox), numbers(500));
                }
            }),
            new Check("a client's own message comes back as it was", () -> {
                try (Client one = client()) {
                    one.open();
                    String channel = Check.channel();
                    List<Object> inbox = one.subscribe(channel);
                    Object data = Map.of("text", "é😀\u2028</script>", "big", Long.MAX_VALUE, "deep", Map.of("x", true));
                    Check.that(one.publish(channel, data).isSuccessful(), data);
                    Client.await("the message", () -> inbox.size() == 1);
                    Check.equal(inbox.get(0), data);
                }
            }),
            new Check("p062 patterns match a segment, or all below", () -> {
                try (Client one = client()) {
                    one.open();
                    String base = Check.channel();
                    List<Object> segment = one.subscribe(base + "/*");
                    List<Object> below = one.subscribe(base + "/**");
                    one.publish(base + "/a", 1L);
                    one.publish(base + "/a/b", 2L);
                    Client.await("both messages", () -> below.size() == 2);
                    Check.equal(List.copyOf(segment), List.of(1L));
                    Check.equal(List.copyOf(below), List.of(1L, 2L));
                }
            }),
            new Check("a batch travels together and stays in order", () -> {
                try (Client one = client()) {
                    one.open();
                    String channel = Check.channel();
                    List<Object> inbox = one.subscribe(channel);
                    one.bayeux.batch(() -> {
                        for (long n = 0; n < 10; n++) one.bayeux.getChannel(channel).publish(n);
                    });
                    Client.await("10 messages", () -> inbox.size() >= 10);
                    Check.equal(List.copyOf(inbox), numbers(10));
                }
            }),
            new Check("after an unsubscribe nothing arrives", () -> {
                try (Client one = client()) {
                    one.open();
                    String channel = Check.channel();
                    List<Object> other = one.subscribe(channel + "/other");
                    List<Object> inbox = one.subscribe(channel);
                    one.publish(channel, 1L);
                    Client.await("a message", () -> inbox.size() == 1);
                    one.bayeux.getChannel(channel).unsubscribe();
                    one.publish(channel, 2L);
                    one.publish(channel + "/other", 3L);
                    Client.await("the message behind it", () -> other.size() == 1);
                    Check.equal(inbox.size(), 1);
                }
            }),
            new Check("a service channel without service is answered", () -> {
                try (Client one = client()) {
                    one.open();
                    Message reply = one.publish("/service/nobody", Map.of("q", 1));
                    Check.that(reply.isSuccessful(), reply);
                }
            }),
            new Check("a refused subscription reaches its callback", () -> {
                try (Client one = client()) {
                    one.open();
                    Message reply = Client.answer("a reply to subscribe", callback ->
                        one.bayeux.getChannel("/meta/connect/x").subscribe((c, m) -> {}, callback));
                    Check.that(!reply.isSuccessful(), reply);
                }
            }),
            new Check("a message of 60 KB passes", () -> {
                try (Client one = client()) {
                    one.open();
                    String channel = Check.channel();
                    List<Object> inbox = one.subscribe(channel);
                    String text = "x".repeat(60_000);
                    Check.that(one.publish(channel, text).isSuccessful(), "refused");
                    Client.await("the message", () -> inbox.size() == 1);
                    Check.equal(inbox.get(0), text);
                }
            }),
            new Check("p123 with the ack extension every connect reply has a growing number", () -> {
                try (Client one = client()) {
                    one.bayeux.addExtension(new AckExtension());
                    one.open();
                    String channel = Check.channel();
                    List<Object> inbox = one.subscribe(channel);
                    for (long n = 0; n < 20; n++) one.publish(channel, n);
                    Client.await("20 messages", () -> inbox.size() >= 20);
                    Client.await("some connects", () -> one.connects().size() >= 3);
                    Check.equal(List.copyOf(inbox), numbers(20));
                    List<Long> acks = one.connects().stream()
                        .map(m -> (Long) ((Map<?, ?>) m.get("ext")).get("ack")).toList();
                    Check.equal(acks, acks.stream().sorted().toList());
                    Check.that(acks.get(acks.size() - 1) > 0, acks);
                }
            }));
    }

    /** 0 to count - 1. */
    static List<Object> numbers(long count) {
        return IntStream.range(0, (int) count).mapToObj(n -> (Object) (long) n).toList();
    }
}
