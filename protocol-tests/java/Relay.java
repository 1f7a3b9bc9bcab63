// A TCP relay between a client and the broker, for a network that goes away and comes back.

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Listens on a free port of 127.0.0.1 and passes every connection on to the broker's port. */
final class Relay implements AutoCloseable {
    private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final int target;
    private volatile boolean away;

    Relay(int target) throws IOException {
        this.target = target;
        background(() -> {
            while (true) accept(server.accept());
        });
    }

    int port() {
        return server.getLocalPort();
    }

    /** Takes the network away: all connections are reset, new ones closed at once. */
    void leave() {
        away = true;
        open.forEach(Relay::reset);
    }

    /** Passes bytes again. */
    void pass() {
        away = false;
    }

    @Override
    public void close() throws IOException {
        leave();
        server.close();
    }

    private void accept(Socket client) throws IOException {
        if (away) {
            reset(client);
            return;
        }
        Socket broker = new Socket(InetAddress.getLoopbackAddress(), target);
        open.add(client);
        open.add(broker);
        pump(client, broker);
        pump(broker, client);
    }

    private void pump(Socket from, Socket to) {
        background(() -> {
            try (from; to) {
                from.getInputStream().transferTo(to.getOutputStream());
            } finally {
                open.remove(from);
            }
        });
    }

    private static void reset(Socket socket) {
        try (socket) {
            socket.setSoLinger(true, 0);
        } catch (IOException gone) {
            // That is what was wanted.
        }
    }

    private interface Work {
        void run() throws IOException;
    }

    private static void background(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (IOException end) {
                // Connections end so.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
