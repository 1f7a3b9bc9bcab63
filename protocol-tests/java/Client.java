// CometD's Java client, over one transport, with a log of what crossed it.

import jakarta.websocket.ContainerProvider;
import jakarta.websocket.WebSocketContainer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.client.BayeuxClient;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.eclipse.jetty.client.HttpClient;

/** A client; what it is told to do fails when no answer comes in time. */
final class Client implements AutoCloseable {
    private static final long PATIENCE_S = 20;

    /** The library's own client, for what has no method here. */
    final BayeuxClient bayeux;
    /** Copies of all messages sent and received, in order. */
    final List<Map<String, Object>> sent = new CopyOnWriteArrayList<>();
    final List<Map<String, Object>> received = new CopyOnWriteArrayList<>();

    private final AutoCloseable below;

    Client(String transport, int port) throws Exception {
        Map<String, Object> options = new HashMap<>();
        options.put(ClientTransport.MAX_NETWORK_DELAY_OPTION, 3000L);
        if (transport.equals("websocket")) {
            WebSocketContainer container = ContainerProvider.getWebSocketContainer();
            below = (AutoCloseable) () -> ((org.eclipse.jetty.util.component.LifeCycle) container).stop();
            bayeux = new BayeuxClient(Broker.url("ws", port), new WebSocketTransport(options, null, container));
        } else {
            HttpClient http = new HttpClient();
            http.start();
            below = http::stop;
            bayeux = new BayeuxClient(Broker.url("http", port), new JettyHttpClientTransport(options, http));
        }
        bayeux.setOption(BayeuxClient.BACKOFF_INCREMENT_OPTION, 200L);
        bayeux.setBackOffStrategy(new BayeuxClient.BackOffStrategy.Constant(200));
        bayeux.addExtension(new Log());
    }

    /** Shakes hands and waits for the first connect reply; returns the handshake reply. */
    Map<String, Object> open() throws Exception {
        Message reply = answer("a handshake reply", bayeux::handshake);
        Check.that(reply.isSuccessful(), reply);
        await("the first connect reply", bayeux::isConnected);
        return reply;
    }

    /** Subscribes and returns the list into which the data of deliveries is put. */
    List<Object> subscribe(String channel) throws Exception {
        List<Object> inbox = new CopyOnWriteArrayList<>();
        Message reply = answer("a reply to subscribe", callback ->
            bayeux.getChannel(channel).subscribe((c, message) -> inbox.add(message.getData()), callback));
        Check.that(reply.isSuccessful(), reply);
        return inbox;
    }

    /** Publishes and returns the reply, which may be a refusal. */
    Message publish(String channel, Object data) throws Exception {
        return answer("a reply to publish", callback -> bayeux.getChannel(channel).publish(data, callback));
    }

    /** Successful replies to connects so far. */
    List<Map<String, Object>> connects() {
        return received.stream()
            .filter(m -> m.get("channel").equals("/meta/connect") && m.get("successful").equals(true)).toList();
    }

    /** How many messages of this channel went out. */
    long count(String channel) {
        return sent.stream().filter(m -> m.get("channel").equals(channel)).count();
    }

    /** Waits until a connect is under way. */
    void held() throws Exception {
        await("a connect under way", () -> count("/meta/connect")
            > received.stream().filter(m -> m.get("channel").equals("/meta/connect")).count());
    }

    /** Waits until the client has ended, its transport too. */
    void gone() {
        boolean isGone = bayeux.waitFor(PATIENCE_S * 1000, BayeuxClient.State.DISCONNECTED);
        Check.that(isGone, "not within " + PATIENCE_S + " s: the end of the client");
    }

    /** Sends something and waits for the reply that its callback gets. */
    static Message answer(String what, Consumer<ClientSession.MessageListener> send) throws Exception {
        CompletableFuture<Message> reply = new CompletableFuture<>();
        send.accept(reply::complete);
        return reply.orTimeout(PATIENCE_S, TimeUnit.SECONDS).exceptionally(late -> {
            throw new AssertionError("not within " + PATIENCE_S + " s: " + what);
        }).get();
    }

    /** Asks until the condition holds. */
    static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) throw new AssertionError("not within " + PATIENCE_S + " s: " + what);
            Thread.sleep(5);
        }
    }

    @Override
    public void close() throws Exception {
        if (!bayeux.isDisconnected()) bayeux.disconnect(2000);
        bayeux.abort();
        below.close();
    }

    private final class Log implements ClientSession.Extension {
        @Override
        public boolean rcv(ClientSession session, Message.Mutable message) {
            return received.add(new HashMap<>(message));
        }

        @Override
        public boolean rcvMeta(ClientSession session, Message.Mutable message) {
            return received.add(new HashMap<>(message));
        }

        @Override
        public boolean send(ClientSession session, Message.Mutable message) {
            return sent.add(new HashMap<>(message));
        }

        @Override
        public boolean sendMeta(ClientSession session, Message.Mutable message) {
            return sent.add(new HashMap<>(message));
        }
    }
}
