package dev.podidentity.agent;

import dev.podidentity.agent.LivingWorkload.Reply;
import io.vertx.core.json.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Observes what an SDK sends to a server on this machine's loopback, and how it reacts to one that misbehaves. */
final class SdkWire implements AutoCloseable {

    private enum Behaviour {
        GOOD,
        UNAVAILABLE,
        RETRY_AFTER,
        SILENT
    }

    private static final Duration SILENCE = Duration.ofSeconds(20);
    private static final String TOKEN = "header.claims.signature";
    private static final String CREDENTIALS = new JsonObject()
            .put("AccessKeyId", "ASIAEXAMPLE")
            .put("SecretAccessKey", "secret")
            .put("Token", "session")
            .put("AccountId", "123456789012")
            .put("Expiration", Instant.now().plus(Duration.ofDays(1)).truncatedTo(ChronoUnit.SECONDS).toString())
            .encode();
    private static final String FAILURE = new JsonObject()
            .put("code", "ServiceUnavailableException")
            .put("message", "unavailable")
            .put("Code", "ServiceUnavailableException")
            .put("Message", "unavailable")
            .encode();

    private final Path directory;
    private final List<Connection> connections = new CopyOnWriteArrayList<>();
    private ServerSocket server;
    private volatile Behaviour behaviour;

    private static final class Connection {
        private final Socket socket;
        private final List<List<String>> heads = new CopyOnWriteArrayList<>();
        private final List<Long> times = new CopyOnWriteArrayList<>();
        private volatile long closed;

        Connection(Socket socket) {
            this.socket = socket;
        }
    }

    private SdkWire(Path directory) throws IOException {
        this.directory = directory;
        listen(0);
    }

    /** Observes one SDK; takes up to half a minute. */
    static SdkReport.Wire observe(List<String> command, Path directory) throws IOException {
        try (SdkWire wire = new SdkWire(directory)) {
            return wire.observe(command);
        }
    }

    private SdkReport.Wire observe(List<String> command) throws IOException {
        Path token = Files.writeString(directory.resolve("token"), TOKEN);
        Map<String, String> environment = new HashMap<>(
                LivingWorkload.environment("127.0.0.1:" + server.getLocalPort(), token, directory));
        environment.put("AWS_EC2_METADATA_DISABLED", "true");
        try (LivingWorkload living = LivingWorkload.start(command, environment, directory.resolve("errors-wire"))) {
            behave(Behaviour.GOOD);
            living.ask("fresh");
            String request = request(connections.get(0).heads.get(0));
            living.ask("fresh");
            String connection = connection();
            behave(Behaviour.UNAVAILABLE);
            String unavailable = tries(living.ask("fresh"));
            behave(Behaviour.RETRY_AFTER);
            String retryAfter = tries(living.ask("fresh"));
            int port = server.getLocalPort();
            server.close();
            forget();
            String refused = "fails after " + SdkReport.time(living.ask("fresh").millis());
            listen(port);
            behave(Behaviour.SILENT);
            String silent = silent(living.ask("fresh", SILENCE));
            return new SdkReport.Wire(request, connection, silent, unavailable, retryAfter, refused);
        }
    }

    private static String request(List<String> head) {
        return head.stream()
                .skip(1)
                .map(line -> line
                        .replace(TOKEN, "<token>")
                        .replaceAll("(?i)^(host: ).*", "$1<address>")
                        .replace(System.getProperty("os.version"), "…"))
                .map(SdkReport::code)
                .collect(Collectors.joining("<br>"));
    }

    private String connection() {
        if (connections.size() == 1) {
            return "kept, and used again by a new provider";
        }
        return connections.get(0).closed > 0 ? "closed after the answer" : "left open, not used by a new provider";
    }

    private String tries(Reply reply) {
        List<Long> times = times();
        long last = TimeUnit.NANOSECONDS.toMillis(times.get(times.size() - 1) - times.get(0));
        return times.size() + " tries, the last after " + SdkReport.time(last) + "; fails after " + SdkReport.time(reply.millis());
    }

    private String silent(Optional<Reply> reply) {
        if (reply.isEmpty()) {
            return "still waits after " + SILENCE.toSeconds() + " s";
        }
        Connection first = connections.get(0);
        return times().size() + " tries, each given up after "
                + SdkReport.time(TimeUnit.NANOSECONDS.toMillis(first.closed - first.times.get(0)))
                + "; fails after " + SdkReport.time(reply.get().millis());
    }

    private List<Long> times() {
        return connections.stream().flatMap(connection -> connection.times.stream()).sorted().toList();
    }

    private void behave(Behaviour next) {
        behaviour = next;
        forget();
    }

    private void forget() {
        for (Connection connection : connections) {
            try {
                connection.socket.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        connections.clear();
    }

    private void listen(int port) throws IOException {
        ServerSocket listening = new ServerSocket(port, 100, InetAddress.getByName("127.0.0.1"));
        server = listening;
        AgentProcess.daemon("wire", () -> {
            try {
                while (true) {
                    Connection connection = new Connection(listening.accept());
                    connections.add(connection);
                    AgentProcess.daemon("wire-connection", () -> serve(connection));
                }
            } catch (IOException e) {
                // It is closed.
            }
        });
    }

    private void serve(Connection connection) {
        try (Socket socket = connection.socket;
                BufferedReader lines =
                        new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1))) {
            List<String> head = new ArrayList<>();
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (!line.isEmpty()) {
                    head.add(line);
                    continue;
                }
                connection.times.add(System.nanoTime());
                connection.heads.add(List.copyOf(head));
                head.clear();
                answer(socket);
            }
        } catch (IOException e) {
            // The connection broke, which counts as its end.
        }
        connection.closed = System.nanoTime();
    }

    private void answer(Socket socket) throws IOException {
        String head = switch (behaviour) {
            case GOOD -> "HTTP/1.1 200 OK\r\n";
            case UNAVAILABLE -> "HTTP/1.1 503 Service Unavailable\r\n";
            case RETRY_AFTER -> "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n";
            case SILENT -> "";
        };
        if (!head.isEmpty()) {
            String body = behaviour == Behaviour.GOOD ? CREDENTIALS : FAILURE;
            String answer = head + "Content-Type: application/json\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
            socket.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
        forget();
    }
}
