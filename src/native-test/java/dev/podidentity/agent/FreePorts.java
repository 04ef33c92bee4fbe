package dev.podidentity.agent;

import java.io.IOException;
import java.net.BindException;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/** Finds free ports for processes that must be told their port. */
public final class FreePorts {

    /** Below the ephemeral ports: a client that keeps retrying on such a port would eventually connect to itself. */
    private static final int LOWEST = 20_000;
    private static final int HIGHEST = 30_000;
    private static final int HIGHEST_FIRST = 29_000;

    private FreePorts() {}

    public static int one() throws IOException {
        return take(1).get(0);
    }

    /** Returns distinct ports. The search starts at a random port, so that concurrent processes find different ones. */
    public static List<Integer> take(int count) throws IOException {
        List<ServerSocket> sockets = new ArrayList<>();
        try {
            for (int port = ThreadLocalRandom.current().nextInt(LOWEST, HIGHEST_FIRST); sockets.size() < count; port++) {
                try {
                    sockets.add(new ServerSocket(port));
                } catch (BindException e) {
                    if (port == HIGHEST) {
                        throw e;
                    }
                }
            }
            return sockets.stream().map(ServerSocket::getLocalPort).toList();
        } finally {
            for (ServerSocket socket : sockets) {
                socket.close();
            }
        }
    }
}
