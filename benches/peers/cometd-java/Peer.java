import java.util.Map;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * CometD's server on a loopback port: {@code java -cp 'target/dependency/*' Peer.java PORT}. Serves /cometd, by WebSocket on
 * Jetty's own WebSocket handler and by long-polling through CometD's servlet.
 */
final class Peer {
    private Peer() {}

    public static void main(String[] args) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(args[0]));
        // The tool opens many connections at once.
        connector.setAcceptQueueSize(4096);
        server.addConnector(connector);

        ServletContextHandler context = new ServletContextHandler("/");
        server.setHandler(context);
        context.insertHandler(WebSocketUpgradeHandler.from(server, context));

        BayeuxServerImpl bayeux = new BayeuxServerImpl();
        Map.of(
                        "transports",
                        JettyWebSocketTransport.class.getName() + "," + JSONHttpTransport.class.getName(),
                        "timeout", "45000",
                        "maxInterval", "60000",
                        // Longer than a connect is held, or idle sessions lose their connection.
                        "ws.idleTimeout", "120000",
                        "ws.cometdURLMapping", "/cometd/*")
                .forEach(bayeux::setOption);
        // The transport finds Jetty's WebSocket container through it.
        bayeux.setOption(Context.class.getName(), context.getContext());
        bayeux.start();

        // The servlet takes the server it finds there instead of making one.
        context.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);
        ServletHolder servlet = new ServletHolder(new CometDServlet());
        servlet.setAsyncSupported(true);
        context.addServlet(servlet, "/cometd/*");

        server.start();
        System.out.println("ready");
        server.join();
    }
}
