// CometD's Java client calls services behind the broker. It has no limit of time of its own for a remote
// call, so one that is never answered would wait for ever.

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import org.cometd.bayeux.Message;
import org.cometd.client.ext.AckExtension;

/** The checks of one transport; each has a broker and a back-end of its own. */
final class Services {
    private final String transport;

    Services(String transport) {
        this.transport = transport;
    }

    Stream<Check> checks() {
        return Stream.of(
            new Check("p115 a remote call gets the answer of the service, whole", () -> with(this::called)),
            new Check("p115 calls of one client run side by side, and each gets its own answer", () -> with(this::manyCalled)),
            new Check("p115 a call that fails brings class and message, and the session lives on", () -> with(this::failed)),
            new Check("p115 a call of a service that is too slow fails in time", () -> with(this::late)),
            new Check("p114 a publish to a service is answered at once, and its listener hears the service",
                () -> with(this::published)),
            new Check("p123 the answer of a call survives a broken connection", () -> with(this::acknowledged)));
    }

    /** What a check has. */
    private record Stage(BackEnd backEnd, Relay relay, Client one, Semaphore gate) {
        Message call(String target, Object data) throws Exception {
            return Client.answer("the end of the call of " + target, end -> one.bayeux.remoteCall(target, data, end));
        }
    }

    private interface Scene {
        void play(Stage stage) throws Exception;
    }

    private void with(Scene scene) throws Exception {
        Semaphore gate = new Semaphore(0);
        try (BackEnd backEnd = new BackEnd(call -> answer(call, gate))) {
            Map<String, String> settings = new HashMap<>(Broker.SHORT);
            settings.put("services", backEnd.setting("channel = \"/service/quote/**\"",
                "channel = \"/service/quote/late\", timeout = \"200ms\"",
                "channel = \"/service/plain/*\", reply = \"message\""));
            try (Broker broker = new Broker(settings);
                    Relay relay = new Relay(broker.port());
                    Client one = new Client(transport, relay.port())) {
                one.bayeux.addExtension(new AckExtension());
                one.open();
                scene.play(new Stage(backEnd, relay, one, gate));
                Check.equal(one.count("/meta/handshake"), 1L);
            }
        }
    }

    /** The service: it echoes, says no to what has {@code fails}, and keeps what has {@code waits} until the check lets it go. */
    private static BackEnd.Answer answer(Map<?, ?> call, Semaphore gate) throws InterruptedException {
        Map<?, ?> data = (Map<?, ?>) call.get("data");
        if (data.containsKey("waits")) gate.acquire();
        if (data.get("fails") instanceof Long status) {
            String name = (String) data.get("name");
            return new BackEnd.Answer(status.intValue(), Map.of("class", name, "message", "nobody trades it"));
        }
        return new BackEnd.Answer(200, echo((String) call.get("channel"), data));
    }

    private static Map<String, Object> echo(String channel, Map<?, ?> data) {
        return Map.of("channel", channel, "echo", data);
    }

    private void called(Stage stage) throws Exception {
        Map<String, Object> data = Map.of("text", "é😀\u2028</script>", "big", Long.MAX_VALUE, "deep", Map.of("x", true));
        Message reply = stage.call("quote/acme", data);
        Check.that(reply.isSuccessful(), reply);
        Check.equal(reply.getData(), echo("/service/quote/acme", data));
        Map<?, ?> posted = stage.backEnd.calls.get(0);
        Check.equal(posted.get("id"), reply.getId());
        Check.equal(posted.get("data"), data);
        // Into the same callback, by another name of the target.
        Check.equal(stage.call("/quote/acme", data).getData(), echo("/service/quote/acme", data));
    }

    private void manyCalled(Stage stage) throws Exception {
        List<Object> answers = new CopyOnWriteArrayList<>();
        stage.one.bayeux.remoteCall("quote/slow", Map.of("n", 0L, "waits", true), reply -> answers.add(reply.getData()));
        for (long n = 1; n <= 20; n++) {
            Check.equal(stage.call("quote/" + n, Map.of("n", n)).getData(), echo("/service/quote/" + n, Map.of("n", n)));
        }
        Check.equal(List.copyOf(answers), List.of());
        stage.gate.release();
        Client.await("the answer that was held", () -> answers.size() == 1);
        Check.equal(answers.get(0), echo("/service/quote/slow", Map.of("n", 0L, "waits", true)));
    }

    private void failed(Stage stage) throws Exception {
        // With the name of a class that this machine does not have the client could not read the response.
        for (String name : List.of("java.util.NoSuchElementException", "NoSuchSymbol", "org.example.NoSuchSymbol")) {
            Message reply = stage.call("quote/acme", Map.of("fails", 404L, "name", name));
            String known = name.startsWith("java.") ? name : "java.lang.RuntimeException";
            Check.equal(told(reply), List.of("500::service_failed", known, "nobody trades it"));
            Check.equal(reply.getDataAsMap().get("name"), name);
        }
        Check.equal(told(stage.call("quote/acme", Map.of("fails", 500L, "name", "Broken"))),
            List.of("502::service_unavailable", "java.io.IOException", "the service answered with the status 500"));
        Check.that(stage.call("quote/acme", Map.of("n", 1L)).isSuccessful(), "a call after failed ones");
    }

    private void late(Stage stage) throws Exception {
        Check.equal(told(stage.call("quote/late", Map.of("waits", true))),
            List.of("504::service_timeout", "java.util.concurrent.TimeoutException", "the service did not answer in time"));
        Check.that(stage.call("quote/late", Map.of("n", 1L)).isSuccessful(), "a call after a late one");
    }

    /** Error, class and message of a failed call. */
    private static List<Object> told(Message reply) {
        Check.that(!reply.isSuccessful(), reply);
        Map<String, Object> data = reply.getDataAsMap();
        return List.of(reply.get("error"), data.get("class"), data.get("message"));
    }

    private void published(Stage stage) throws Exception {
        for (String channel : List.of("/service/quote/acme", "/service/plain/acme")) {
            List<Object> inbox = stage.one.subscribe(channel);
            Map<String, Object> data = Map.of("waits", channel);
            Message reply = stage.one.publish(channel, data);
            Check.that(reply.isSuccessful() && reply.getData() == null, reply);
            Check.equal(List.copyOf(inbox), List.of());
            stage.gate.release();
            Client.await("the word of the service", () -> inbox.size() == 1);
            Check.equal(inbox.get(0), echo(channel, data));
        }
    }

    private void acknowledged(Stage stage) throws Exception {
        List<Message> answers = new CopyOnWriteArrayList<>();
        stage.one.bayeux.remoteCall("quote/acme", Map.of("waits", true), answers::add);
        Client.await("the call at the service", () -> stage.backEnd.calls.size() == 1);
        // A call whose publish got no reply would fail at the client.
        Client.await("the reply to its publish", () -> stage.one.received.stream()
            .anyMatch(message -> message.get("channel").equals("/service/quote/acme")));
        stage.relay.leave();
        stage.gate.release();
        Thread.sleep(500);
        Check.equal(answers.size(), 0);
        stage.relay.pass();
        Client.await("the answer", () -> answers.size() == 1);
        Check.that(answers.get(0).isSuccessful(), answers);
    }
}
