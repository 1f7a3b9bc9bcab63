// Starts, kills and ends brokers of its own, each on a free port of 127.0.0.1.

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A broker process; the binary is {@code $BAYEUXD}. */
final class Broker implements AutoCloseable {
    /** Settings that let checks of holds and expiry end within seconds. */
    static final Map<String, String> SHORT =
        Map.of("session.timeout", "2s", "session.max_interval", "5s", "session.multi_session_interval", "500ms",
            "server.drain_timeout", "3s");

    /** {@code bayeux   http://127.0.0.1:PORT …} of the start output. */
    private static final Pattern BANNER = Pattern.compile("(?m)^bayeux\\s.*?http://[^\\s/:]+:(\\d+).*\n");

    private final Map<String, String> settings;
    private final List<String> arguments;
    private Path output;
    private Process process;
    private int port;

    Broker(Map<String, String> settings, String... arguments) throws Exception {
        this.settings = settings;
        this.arguments = List.of(arguments);
        start();
    }

    /** Starts the process; the second time on the port that it had. */
    void start() throws Exception {
        List<String> command = new ArrayList<>(List.of(
            System.getenv("BAYEUXD"), "serve", "--listen", "127.0.0.1:" + port, "--admin", "127.0.0.1:0"));
        settings.forEach((key, value) -> command.addAll(List.of("--set", key + "=" + value)));
        command.addAll(arguments);
        // A file, because Java closes the pipes of a process that it ends, and with them what comes last.
        output = Files.createTempFile("bayeuxd", ".log");
        output.toFile().deleteOnExit();
        process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
        Client.await("the start output with the address", () -> !process.isAlive() || banner().find());
        Matcher banner = banner();
        Check.that(banner.find(), written());
        port = Integer.parseInt(banner.group(1));
    }

    private Matcher banner() {
        return BANNER.matcher(written());
    }

    private String written() {
        try {
            return Files.readString(output);
        } catch (IOException gone) {
            throw new UncheckedIOException(gone);
        }
    }

    int port() {
        return port;
    }

    /** The Bayeux endpoint, at the broker itself or at a relay's port before it. */
    static String url(String scheme, int port) {
        return scheme + "://localhost:" + port + "/cometd";
    }

    /** Ends the process at once and without a word, as a crash would. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** Drains the broker and fails unless it ended with 0 and without a panic. */
    @Override
    public void close() throws Exception {
        process.destroy();
        if (!process.waitFor(20, TimeUnit.SECONDS)) throw new AssertionError("no end after SIGTERM");
        boolean isWell = process.exitValue() == 0 && !written().contains("panicked");
        Check.that(isWell, "exit code " + process.exitValue() + "\n" + written());
    }
}
