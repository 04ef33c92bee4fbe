package dev.podidentity.agent.http;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Checks that the agent of this process's own container listens. On the host network, another container's agent may respond
 * instead: during an upgrade the old one still runs, and the kubelet would take its response for the new one's.
 */
public final class StartupProbe {

    static final int MISDIRECTED = 421;

    private static final int OK = 200;
    /** While both listen, the kernel chooses between them for each connection. */
    private static final int TRIES = 20;
    private static final int TIMEOUT_MILLIS = 2000;

    private StartupProbe() {}

    /**
     * Probes on localhost. Blocks. A response of an agent that does not distinguish containers, such as the reference, is
     * accepted: it does not share its port, so the new agent has to wait until it exits.
     *
     * @param namespace the process namespace of the agent
     * @return the problem; empty if the agent listens
     */
    public static Optional<String> ask(int port, String namespace) {
        return ask(port, "/healthz?namespace=" + URLEncoder.encode(namespace, StandardCharsets.UTF_8), TRIES);
    }

    /**
     * Checks on localhost that any agent on this node is ready. Blocks.
     *
     * @return the problem; empty if one is ready
     */
    public static Optional<String> askWhetherReady(int port) {
        return ask(port, "/readyz", 1);
    }

    private static Optional<String> ask(int port, String target, int mostTries) {
        Optional<String> problem = Optional.empty();
        for (int tries = 0; tries < mostTries; tries++) {
            try {
                int status = status(port, target);
                if (status == OK) {
                    return Optional.empty();
                }
                problem = Optional.of(status == MISDIRECTED
                        ? "another agent serves; this one does not listen yet"
                        : "the agent answers with HTTP " + status);
                if (status != MISDIRECTED) {
                    return problem;
                }
            } catch (SocketTimeoutException e) {
                return Optional.of("the agent does not answer");
            } catch (IOException e) {
                return Optional.of("the agent does not listen: " + e.getMessage());
            }
        }
        return problem;
    }

    private static int status(int port, String target) throws IOException {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), TIMEOUT_MILLIS);
            socket.setSoTimeout(TIMEOUT_MILLIS);
            socket.getOutputStream().write(("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            String line = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII)).readLine();
            String[] parts = line == null ? new String[0] : line.split(" ");
            if (parts.length < 2) {
                throw new IOException("no answer");
            }
            return Integer.parseInt(parts[1]);
        } catch (NumberFormatException e) {
            throw new IOException("no HTTP", e);
        }
    }
}
