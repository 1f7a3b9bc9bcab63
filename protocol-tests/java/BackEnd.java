// A back-end of service channels, played by the check, and the setting that sends channels to it.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.jetty.util.ajax.JSON;

/** Listens on a free port of 127.0.0.1 and answers each posted call. */
final class BackEnd implements AutoCloseable {
    /** What is posted back. */
    record Answer(int status, Object body) {}

    /** Decides on an answer; may take its time. */
    interface Service {
        Answer answer(Map<?, ?> call) throws InterruptedException;
    }

    /** The posted calls, in order. */
    final List<Map<?, ?>> calls = new CopyOnWriteArrayList<>();

    private final JSON json = new JSON();
    private final Service service;
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    BackEnd(Service service) throws IOException {
        this.service = service;
        server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", this::serve);
        server.start();
    }

    private void serve(HttpExchange exchange) throws IOException {
        try (exchange) {
            String text = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            Map<?, ?> call = (Map<?, ?>) json.fromJSON(text);
            calls.add(call);
            Answer answer = service.answer(call);
            byte[] bytes = json.toJSON(answer.body()).getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(answer.status(), bytes.length);
            exchange.getResponseBody().write(bytes);
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    /** The value of {@code services}; each entry has further keys in TOML, {@code channel} among them. */
    String setting(String... entries) {
        String url = "url = \"http://127.0.0.1:" + server.getAddress().getPort() + "/\"";
        return Stream.of(entries).map(entry -> "{ " + url + ", " + entry + " }").collect(Collectors.joining(", ", "[", "]"));
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
